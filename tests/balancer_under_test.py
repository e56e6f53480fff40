"""A balancer worker in the test's own loop, on a free port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from balancer.counts import Counts
from balancer.health import check_all
from balancer.proxied import accepts
from balancer.proxy import Proxy
from balancer.settings import Address, Member, Settings
from monitoring.access_log import AccessLog, Fields
from monitoring.page import MetricsPage

NOWHERE = Address("127.0.0.1", 1)


class RememberingLog(AccessLog):
    """An access log that keeps its lines for the test."""

    def __init__(self) -> None:
        super().__init__(None)
        self.enabled = True
        self.lines: list[Fields] = []

    def write(self, fields: Fields) -> None:
        self.lines.append(fields)


class _Uncounted:
    def request_started(self) -> None: ...
    def request_finished(self) -> None: ...


class RunningBalancer:
    def __init__(self, proxy: Proxy, log: RememberingLog, page: MetricsPage, port: int) -> None:
        self.proxy = proxy
        self.log = log
        self.page = page
        self.port = port

    def metric(self, name: str, *labels: str) -> float:
        column = self.page.series().get((name, "", labels))
        return 0.0 if column is None else sum(self.page.values(column))

    async def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes, read until the balancer closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        if half_close:
            writer.write_eof()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def get(self, path: str = "/", method: str = "GET") -> bytes:
        return await self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n".encode()
        )


@asynccontextmanager
async def running(
    *backends: Address | Member, checks: bool = False, listens: bool = True, **options: Any
) -> AsyncIterator[RunningBalancer]:
    """A proxy over `backends`; health checks only when asked for. One that does not `listen` has
    port 0: nobody else on the machine can send it a request."""
    members = tuple(one if isinstance(one, Member) else Member(one) for one in backends)
    path: dict[str, Any] = {} if checks else {"health_path": None}
    settings = replace(
        Settings(listen=NOWHERE, admin=NOWHERE, backends=members, health_interval=0.05),
        **path,
        **options,
    )
    page = MetricsPage()
    counts = Counts(page.recorder(0), slot=0)
    log = RememberingLog()
    loop = asyncio.get_running_loop()
    proxy = Proxy(settings, counts, log, loop.time, _Uncounted())
    tasks = [asyncio.create_task(proxy.keep_time())]
    if checks:
        tasks.append(asyncio.create_task(check_all(proxy, random.Random(1))))
    server = await loop.create_server(accepts(proxy), "127.0.0.1", 0) if listens else None
    port = server.sockets[0].getsockname()[1] if server is not None else 0
    try:
        yield RunningBalancer(proxy, log, page, port)
    finally:
        if server is not None:
            server.close()
        await proxy.drain(linger=0, limit=0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close at the loop's next turns
