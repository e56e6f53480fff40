"""Active health checks: each backend is asked once a second whether it is ready."""

from __future__ import annotations

import asyncio
import random

from .backends import Backend
from .group import say
from .health_count import HealthCount
from .proxy import Proxy
from .request_head import Field
from .response_head import ResponseHead
from .upstream import ConnectionPool

_FOLLOW_SECONDS = 0.1
_JITTER = 0.1  # of the interval, so that the workers of a balancer do not ask in step


async def check_all(proxy: Proxy, rng: random.Random) -> None:
    """Check every backend of the group, as they come and go, until cancelled."""
    running: dict[Backend, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while True:
            backends = proxy.backends
            for backend in backends:
                if backend not in running:
                    check = HealthCheck(proxy, backend, rng)
                    running[backend] = tasks.create_task(check.run())
            for gone in running.keys() - set(backends):
                running.pop(gone).cancel()
            await asyncio.sleep(_FOLLOW_SECONDS)


class HealthCheck:
    """Asks one backend until cancelled and keeps its `healthy` up to date.

    A backend whose address refuses connections is out at once; it takes `fall` failed or slow
    checks otherwise, and `rise` passes to come back (one is enough for the first time).
    """

    def __init__(self, proxy: Proxy, backend: Backend, rng: random.Random) -> None:
        self._proxy = proxy
        self._backend = backend
        self._rng = rng
        self._count = HealthCount(proxy.settings.fall, proxy.settings.rise)
        proxy.refused_by[backend] = self.refused
        # A pool of its own: a check must not be answered for by a request's connection.
        self._pool = ConnectionPool(backend, proxy.settings, proxy.now)
        self._told = backend.healthy

    async def run(self) -> None:
        interval = self._proxy.settings.health_interval
        try:
            while True:
                await self._check()
                await asyncio.sleep(interval * self._rng.uniform(1 - _JITTER, 1 + _JITTER))
        finally:
            self._proxy.refused_by.pop(self._backend, None)
            self._pool.close()

    async def _check(self) -> None:
        backend = self._backend
        before = backend.healthy
        awake, began = self._proxy.awake(), self._proxy.now()
        try:
            async with asyncio.timeout(self._proxy.settings.health_timeout):
                passed = await self._ask()
        except ConnectionRefusedError:
            passed = False
            self.refused()
        except TimeoutError:
            passed = False
            # Not if nobody read the answer because this loop stood still, nor if the backend has
            # too much to do: the others would get that too.
            ran = self._proxy.awake() - awake
            stood = self._proxy.now() - began - ran
            stood_still = max(stood, self._proxy.late) > self._proxy.settings.health_timeout / 2
            strained = backend.concurrency.strained(backend.in_flight, self._proxy.now())
            if not stood_still and not strained:
                backend.healthy = self._count.failed(before)
        except OSError:
            passed = False
            backend.healthy = self._count.failed(before)
        else:
            now_healthy = self._count.passed if passed else self._count.failed
            backend.healthy = now_healthy(before)
        self._proxy.counts.checked(backend.label, passed=passed)
        if backend.healthy not in (before, self._told):
            self._tell()

    def refused(self) -> None:
        """A request or a check found that nobody listens."""
        self._backend.healthy = self._count.refused()
        if self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self._backend.healthy
        say(f"backend {self._backend.label} {'is back' if self._told else 'is out'}")

    async def _ask(self) -> bool:
        connection = self._pool.take() or await self._pool.connect()
        probe = _Probe()
        path = self._proxy.settings.health_path or "/"
        connection.send(
            probe,
            b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: balancer-health-check\r\n\r\n"
            % (path.encode(), self._backend.label.encode()),
        )
        try:
            status = await probe.result
        except BaseException:
            connection.close()
            raise
        connection.release()
        return 200 <= status < 300


class _Probe:
    """Receives the answer of one check."""

    method = b"GET"
    may_switch = False

    def __init__(self) -> None:
        self.result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._status = 0

    def response_interim(self, block: bytes) -> None: ...

    def response_head(self, head: ResponseHead) -> None:
        self._status = head.status

    def response_body(self, data: bytes) -> None:
        pass

    def response_end(self) -> None:
        if not self.result.done():
            self.result.set_result(self._status)

    def response_failed(self, why: str, *, protocol: bool) -> None:
        if not self.result.done():
            self.result.set_exception(ConnectionError(why))

    def response_switched(self, fields: list[Field], behind: bytes) -> None:
        pass

    def response_flush(self) -> None:
        pass

    def request_paused(self, paused: bool) -> None:
        pass
