"""What clients counted is what the counters say, whatever happened to the workers meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from tests.balancer_process import BalancerProcess
from tests.exposition_text import Sample, parse
from tests.wire.test_app_processes import Instance

REQUESTS = 20_000
CLIENTS = 16
ASK = b"GET /healthz HTTP/1.1\r\nHost: door\r\n\r\n"


class Clients:
    """They ask the front door, one request at a time each, and never ask a second time.

    `answered`: complete answers by status. `lost`: requests that were sent and whose answer never
    came; while clients run, those in flight too.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered: Counter[str] = Counter()
        self.lost = 0
        self.enough = False

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            self.enough = True
            await asyncio.gather(*tasks)

    async def _client(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.enough:
            try:
                _, kept = await loop.create_connection(lambda: Kept(self), "127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                await kept.lost


class Kept(asyncio.Protocol):
    """One kept connection. A protocol because streams cost several times what they count here."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._received = b""
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._clients.lost += 1
        self._transport.write(ASK)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, whole, body = self._received.partition(b"\r\n\r\n")
        if not whole or len(body) < length(head):
            return
        self._received = b""
        self._clients.lost -= 1
        self._clients.answered[status(head)] += 1
        if b"connection: close" in head.lower() or self._clients.enough:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(None)


def status(head: bytes) -> str:
    return head[9:12].decode()


def length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


class Fleet:
    """A balancer over two instances of the app, two workers each, and what is done to them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.instances = [self._start(name) for name in ("app1", "app2")]
        backends = [f"--backend=127.0.0.1:{instance.port}" for instance in self.instances]
        self.balancer = BalancerProcess(folder, "--workers", "2", *backends).start()
        self.polls = 0

    def _start(self, name: str, port: int = 0) -> Instance:
        options = ("--workers", "2", "--recycle-requests", "3500")
        return Instance(self._folder, *options, name=name, port=port)

    async def wait_ready(self) -> None:
        for instance in self.instances:
            await asyncio.to_thread(instance.wait_ready)
        await self.balancer.wait_ready()

    def kill_app_worker(self) -> None:
        os.kill(self.instances[0].workers()[0], signal.SIGKILL)

    def kill_balancer_worker(self) -> None:
        os.kill(self.balancer.workers()[0], signal.SIGKILL)

    def roll_balancer(self) -> None:
        """New workers, one by one."""
        self.balancer.process.send_signal(signal.SIGHUP)

    def restart_app(self) -> None:
        self.instances[1].stop()
        self.instances[1] = self._start("app2", self.instances[1].port).wait_ready()

    async def counted_by_app(self, clients: Clients) -> dict[Sample, float]:
        """Through the front door: the totals of all instances, whichever is asked."""
        async with asyncio.timeout(10):
            while True:
                clients.lost += 1
                with contextlib.suppress(OSError, ValueError):  # it went to a killed worker
                    body = await get(self.balancer.port, "/metrics")
                    clients.lost -= 1
                    self.polls += 1
                    return parse(body)

    async def counted_by_balancer(self) -> dict[Sample, float]:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError, ValueError):  # it went to a killed worker
                    return parse(await get(self.balancer.admin_port, "/metrics"))

    def sizes(self) -> dict[Path, int]:
        """Of the pages: what they take in files and, mapped, in memory."""
        folder = self._folder / "var" / "run" / "metrics"
        return {page: page.stat().st_size for page in folder.rglob("*") if page.is_file()}

    async def end(self) -> None:
        await self.balancer.end()
        for instance in self.instances:
            instance.end()


async def get(port: int, path: str) -> bytes:
    """Raises ValueError for an answer that is not 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode())
        head, whole, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not whole or status(head) != "200" or len(body) != length(head):
        raise ValueError(head.decode())
    return body


def total(samples: dict[Sample, float], name: str, **labels: str) -> float:
    """Of all series of this name that have these labels."""
    return sum(
        value
        for (series, own), value in samples.items()
        if series == name and labels.items() <= dict(own).items()
    )


def backwards(earlier: dict[Sample, float], later: dict[Sample, float]) -> list[Sample]:
    """The counters that went down."""
    ends = ("_total", "_count", "_bucket", "requests_failed")
    return [
        series
        for series, value in earlier.items()
        if series[0].endswith(ends) and series[0] != "redis_keys_total"  # a gauge, by its old name
        if later.get(series, 0) < value
    ]


async def test_counters_say_what_clients_counted_through_kills_rolls_recycling_and_restarts(
    tmp_path: Path,
):
    run = Fleet(tmp_path)
    events = (
        run.restart_app,
        run.kill_app_worker,
        run.kill_balancer_worker,
        run.roll_balancer,
        run.kill_app_worker,
    )
    clients, under_way = Clients(run.balancer.port), list[asyncio.Task[None]]()
    try:
        await run.wait_ready()
        at_first = run.sizes()
        by_app, by_balancer = dict[Sample, float](), dict[Sample, float]()
        async with clients.asking():
            for number, event in enumerate(events, 1):
                under_way.append(asyncio.create_task(asyncio.to_thread(event)))
                while clients.answered.total() < number * REQUESTS / len(events):
                    await asyncio.sleep(0.2)
                    now = await run.counted_by_app(clients)
                    assert not backwards(by_app, now)
                    by_app, now = now, await run.counted_by_balancer()
                    assert not backwards(by_balancer, now)
                    by_balancer = now
            await asyncio.gather(*under_way)
        by_app, by_balancer = await run.counted_by_app(clients), await run.counted_by_balancer()

        assert clients.answered["200"] >= REQUESTS
        assert total(run.instances[0].samples(), "worker_restarts_total", reason="crash")
        for code, answered in (clients.answered + Counter({"200": run.polls})).items():
            counted = total(by_balancer, "balancer_requests_total", status=code)
            assert answered <= counted <= answered + clients.lost
        # The balancer asks again when an instance was killed after it had counted.
        again = clients.lost + total(by_balancer, "balancer_retries_total")
        counted = total(by_app, "http_requests_total", route="/healthz")
        assert clients.answered["200"] <= counted <= clients.answered["200"] + again
        # A killed worker of the balancer takes with it at most one request of each client.
        assert clients.lost <= CLIENTS + 1
        assert run.sizes() == at_first
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)  # or one is started after the end
        await run.end()
