"""`python -m balancer` as it is really run, on free ports, and clients that keep asking it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.exposition_text import parse, sample
from tests.running_stack import free_ports
from tests.scripted_backend import ScriptedBackend

PROJECT = Path(__file__).resolve().parents[1]
GET = b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"


class BalancerProcess:
    """One balancer in a folder of its own."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.folder = folder
        self.port, self.admin_port = free_ports(2)
        self.log = folder / "balancer.log"
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "BALANCER_ADMIN_PORT": str(self.admin_port),
            **environ,
        }
        addresses = f"--listen 127.0.0.1:{self.port} --admin 127.0.0.1:{self.admin_port}"
        self.options = [*addresses.split(), *options]

    def start(self) -> BalancerProcess:
        command = [sys.executable, "-m", "balancer", *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environ, stdout=log, stderr=log
            )
        return self

    async def wait_ready(self) -> BalancerProcess:
        async with asyncio.timeout(20):
            while True:
                assert self.process.poll() is None, self.logged()
                try:
                    if (await self.admin("GET", "/readyz"))[0] == 200:
                        # Another test's balancer may have been given the same admin port.
                        _reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        await self._alone()
                        return self
                except (aiohttp.ClientError, ConnectionRefusedError):
                    await asyncio.sleep(0.02)

    async def _alone(self) -> None:
        """The connection that asked whether the port accepts is gone, and counts for nothing."""
        while (await self.admin("GET", "/backends"))[1]["clients"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def workers(self) -> list[int]:
        return sorted(child.pid for child in psutil.Process(self.process.pid).children())

    def logged(self) -> str:
        return self.log.read_text()

    async def said(self, text: str) -> None:
        await eventually(lambda: text in self.logged(), f"{text!r} in the log")

    async def admin(
        self, method: str, path: str, fields: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer of the admin port, by a new connection."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=fields, headers=headers) as answer,
        ):
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def backend(self, backend: ScriptedBackend) -> dict[str, Any]:
        listed = (await self.admin("GET", "/backends"))[1]["backends"]
        return next((one for one in listed if one["address"] == str(backend.address)), {})

    async def metric(self, name: str, **labels: str) -> float:
        samples = parse((await self.admin("GET", "/metrics"))[1].encode())
        return samples.get(sample(name, **labels), 0.0)

    async def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "balancer", *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    async def ask(self, request: bytes = GET) -> bytes:
        """The answer's first bytes, by a new connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            async with asyncio.timeout(10):
                return await reader.read(4096)
        finally:
            writer.close()

    async def statuses(self, count: int, request: bytes = GET) -> Counter[int]:
        """Of so many requests, one after the other."""
        return Counter([status_of(await self.ask(request)) for _ in range(count)])

    async def end(self) -> None:
        """At once: the second Ctrl-C kills."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def balancer(
    folder: Path, *backends: ScriptedBackend | str, options: str = "", **environ: str
) -> AsyncIterator[BalancerProcess]:
    """One that runs, over these backends."""
    named = [
        option
        for one in backends
        for option in ("--backend", one if isinstance(one, str) else str(one.address))
    ]
    process = BalancerProcess(folder, *named, *options.split(), **environ).start()
    try:
        yield await process.wait_ready()
    finally:
        await process.end()


class Load:
    """Clients on kept connections; counts what they got."""

    def __init__(self, port: int, clients: int, request: bytes = GET, pause: float = 0.0) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._request = request
        self._pause = pause
        self._stopping = False
        self._clients = clients

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        await asyncio.sleep(0.2)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _client(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                self.outcomes[type(error).__name__] += 1
                return
            try:
                while not self._stopping and await self._one(reader, writer):  # noqa: ASYNC110
                    await asyncio.sleep(self._pause)
            except (OSError, EOFError) as error:
                self.outcomes[type(error).__name__] += 1
            finally:
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self.outcomes[str(status_of(head))] += 1
        return b"connection: close" not in head


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def eventually(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  the condition is another process's
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(what) from None
