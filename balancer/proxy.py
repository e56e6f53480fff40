"""What all requests of a worker share: backends, connections, limits, counts, the coarse timer."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from monitoring.access_log import AccessLog, rfc3339

from .backends import Backend, RoundRobin
from .counts import Counts
from .request_head import RequestHeads
from .request_id import RequestIds
from .retry import Failure
from .settings import Settings
from .upstream import ConnectionPool

if TYPE_CHECKING:
    from .client import ClientConnection
    from .exchange import Exchange

# One timer for all time-outs instead of one per request: they are late by up to this much.
TICK_SECONDS = 0.1


class Load(Protocol):
    """What a `Worker` is told of requests."""

    def request_started(self) -> None: ...
    def request_finished(self) -> None: ...


class Proxy:
    """The shared state of one balancer worker.

    Args:
        settings: see `Settings`.
        counts: metrics of this worker's row.
        log: the access log.
        clock: seconds, monotonic; the loop's time.
        load: told of each request, for the pool's status page.
    """

    def __init__(
        self,
        settings: Settings,
        counts: Counts,
        log: AccessLog,
        clock: Callable[[], float],
        load: Load,
    ) -> None:
        self.settings = settings
        self.counts = counts
        self.log = log
        self.now = clock
        self._load = load
        self._pid = os.getpid()
        self.new_request_id = RequestIds(secrets.token_hex(8))
        self.request_heads = RequestHeads(settings, self.new_request_id)
        self.round_robin = RoundRobin(Backend(address) for address in settings.backends)
        self.pools = {
            backend: ConnectionPool(backend, settings, clock)
            for backend in self.round_robin.backends
        }
        self.choose = self.round_robin.choose
        self.refused_by: dict[Backend, Callable[[], None]] = {}  # health checks add themselves
        self.in_flight = 0
        self.draining = False
        self.clients: set[ClientConnection] = set()

    @property
    def backends(self) -> tuple[Backend, ...]:
        return tuple(self.round_robin.backends)

    def has_other(self, failed: Backend) -> bool:
        """Whether another backend could take a request over."""
        return any(backend.available for backend in self.backends if backend is not failed)

    # What happened

    def client_connected(self, client: ClientConnection) -> None:
        self.clients.add(client)

    def client_disconnected(self, client: ClientConnection) -> None:
        self.clients.discard(client)

    def started(self) -> None:
        """A request is being sent to a backend from now on; `ended` takes it back."""
        self.in_flight += 1
        self._load.request_started()

    def ended(self) -> None:
        self.in_flight -= 1
        self._load.request_finished()

    def connect_failed(self, backend: Backend, error: OSError) -> None:
        """Nobody listens there: no request waits for a check to find that out. Without checks
        nothing could bring the backend back, so it stays."""
        told = self.refused_by.get(backend)
        if told is not None and isinstance(error, ConnectionRefusedError):
            told()

    def attempt_failed(self, backend: Backend, failure: Failure) -> None:
        self.counts.upstream_error(backend.label, failure)

    def retried(self, failure: Failure) -> None:
        self.counts.retried(failure)

    def finished(self, exchange: Exchange, backend: str) -> None:
        """Count and log a request that is over, however it ended."""
        seconds = self.now() - exchange.started
        head = exchange.head
        gone = exchange.ended == "client_gone"
        self.counts.finished(backend, head.method, exchange.status, seconds, client_gone=gone)
        if self.log.enabled:
            self.log.write(
                {
                    "time": rfc3339(time.time() - seconds),
                    "service": "balancer",
                    "worker": self._pid,
                    "request_id": head.request_id,
                    "client": exchange.client.peer,
                    "method": head.method.decode("latin-1"),
                    "path": head.target.decode("latin-1"),
                    "status": exchange.status,
                    "duration_ms": int(seconds * 1_000_000) / 1000,
                    "backend": backend,
                    "retries": exchange.attempts.retries + exchange.attempts.free_tries,
                    "bytes": exchange.bytes_sent,
                    "ended": exchange.ended,
                }
            )

    def refused(self, client: ClientConnection, status: int, reason: str) -> str:
        """Count and log a request that was never understood. Returns the id it got."""
        request_id = self.new_request_id()
        self.counts.finished("", b"_OTHER", status, 0.0, client_gone=False)
        if self.log.enabled:
            self.log.write(
                {
                    "time": rfc3339(time.time()),
                    "service": "balancer",
                    "worker": self._pid,
                    "request_id": request_id,
                    "client": client.peer,
                    "status": status,
                    "ended": "refused",
                    "reason": reason,
                }
            )
        return request_id

    # The coarse timer

    async def keep_time(self) -> None:
        """Enforce every time-out until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self.now()
            for client in list(self.clients):
                client.check(now)
            for pool in self.pools.values():
                pool.close_idle(now)
            self._set_gauges()

    def _set_gauges(self) -> None:
        upstream = sum(pool.open_connections for pool in self.pools.values())
        self.counts.connections(client=len(self.clients), upstream=upstream)
        for backend in self.backends:
            self.counts.backend(backend.label, up=backend.healthy, in_flight=backend.in_flight)

    # Stopping

    async def drain(self, *, linger: float, limit: float) -> None:
        """Finish what is there; the listener is closed already.

        Silent connections stay for `linger` seconds, because a request may be on its way; each
        answer from now on says `Connection: close`. At most `limit` seconds in all.
        """
        self.draining = True
        deadline = self.now() + limit
        await asyncio.sleep(linger)
        while self.clients and self.now() < deadline:
            for client in list(self.clients):
                if client.idle:
                    client.close()
            await asyncio.sleep(0.02)
        for client in list(self.clients):
            client.abort()
        for pool in self.pools.values():
            pool.close()
