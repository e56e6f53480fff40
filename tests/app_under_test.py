"""A worker of the app in the test's own loop: real sockets, real redis, no pool."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from app.resilience import CallPolicy
from app.settings import RECORD_LIMIT, Settings, UpstreamSettings
from app.worker import serve
from shards import StoreSettings
from tests.exposition_text import Sample, parse, sample
from workers import Worker
from workers.status import State, StatusPage
from workers.worker import Identity

NOWHERE = "redis://127.0.0.1:1"  # nothing listens there


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


async def eventually(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Until it holds; AssertionError after ten seconds."""
    for _ in range(1000):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


class RunningApp:
    def __init__(
        self, worker: Worker, page: StatusPage, client: aiohttp.ClientSession, folder: Path
    ) -> None:
        self.worker = worker
        self.port = int(worker.socket.getsockname()[1])
        self._page = page
        self._client = client
        self._folder = folder

    async def get(self, path: str = "/", method: str = "GET", **headers: str) -> Reply:
        """Keyword `x_request_id` is the field `X-Request-Id`."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self._client.request(method, url, headers=fields) as response:
            return Reply(response.status, response.headers, await response.read())

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, read until the app closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def samples(self, query: str = "", **headers: str) -> dict[Sample, float]:
        return parse((await self.get(f"/metrics{query}", **headers)).body)

    async def metric(self, name: str, **labels: str) -> float:
        return (await self.samples())[sample(name, **labels)]

    async def logged(self, path: str, count: int = 1) -> list[dict[str, Any]]:
        """Lines of the access log for a path, once there are so many."""
        for _ in range(500):
            text = (self._folder / "access.jsonl").read_text()
            lines = [json.loads(line) for line in text.splitlines()]
            if len(found := [line for line in lines if line["path"] == path]) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"not {count} lines for {path}")

    def pool_stops(self) -> None:
        """What the parent does first: the pool is marked, its workers go on."""
        self._page.set_stopping()

    def stop(self) -> None:
        """SIGTERM reaches the worker."""
        self.worker.stop()


def settings(folder: Path, upstream: str, *stores: str, **options: Any) -> Settings:
    """Options are those of CallPolicy."""
    name = options.pop("name", "app1")
    return Settings(
        name=name,
        store=StoreSettings(urls=stores or (NOWHERE,), value_limit_bytes=RECORD_LIMIT),
        upstream=UpstreamSettings(url=upstream, policy=CallPolicy(**options)),
        ids_file=folder / "ids",
        metrics_dir=folder / "metrics",
        board_file=folder / "upstream",
        access_log=folder / "access.jsonl",
    )


@asynccontextmanager
async def running(
    told: Settings, *, drain: float = 5.0, linger: float = 0.1
) -> AsyncIterator[RunningApp]:
    """The app until the block ends; then it drains."""
    page = StatusPage()
    page.row(0).reset(State.BOOT, time.monotonic_ns())
    identity = Identity(
        name=told.name,
        slot=0,
        pool_started=time.time(),
        backlog=128,
        heartbeat_interval=1.0,
        drain_seconds=drain,
        linger_seconds=linger,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        listening.setblocking(False)
        worker = Worker(identity, listening, page)
        serving = asyncio.create_task(serve(worker, told))
        while not worker.is_ready:
            if serving.done():
                await serving
            await asyncio.sleep(0.005)
        # A connection of its own for each request, or the drain would wait for ours.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as client:
            try:
                yield RunningApp(worker, page, client, told.access_log.parent)  # type: ignore[union-attr]
            finally:
                worker.stop()
                async with asyncio.timeout(drain + linger + 5):
                    await serving
