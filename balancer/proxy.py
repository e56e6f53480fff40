"""What all requests of a worker share: backends, connections, limits, counts, the coarse timer."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monitoring.access_log import AccessLog, rfc3339

from .backends import Backend
from .budget import RetryBudget
from .changes_file import ChangesFile
from .counts import Counts
from .forwarding import TrustedProxies
from .generated import Problem
from .group import BackendGroup, say
from .membership import describe, wanted
from .request_head import ParsedRequest, RequestHeads
from .request_id import RequestIds
from .retry import Failure
from .rush import Rush
from .settings import Settings

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
        self.group = BackendGroup(settings, counts, clock, random.Random())  # noqa: S311
        self.choose = self.group.choose
        self.pools = self.group.pools
        self.budget = RetryBudget(settings.retry_ratio, settings.retry_floor)
        self.changes = ChangesFile(Path(settings.changes_file) if settings.changes_file else None)
        self._look_for_changes()
        self.refused_by: dict[Backend, Callable[[], None]] = {}  # health checks add themselves
        self.trusted_proxies = TrustedProxies(settings.trusted_proxies)
        self.in_flight = 0
        self._arrived = 0  # since the last tick
        self._rush = Rush(TICK_SECONDS)
        self.tunnels = 0
        self.draining = False
        self.late = 0.0  # seconds that this worker's own loop came too late last time
        self._stood = 0.0  # the same since it began
        self.clients: set[ClientConnection] = set()

    @property
    def backends(self) -> tuple[Backend, ...]:
        return self.group.backends

    def has_other(self, failed: Backend) -> bool:
        """Whether another backend could take a request over."""
        return any(backend.available for backend in self.backends if backend is not failed)

    def choose_again(self, failed: Backend) -> Backend | None:
        """Another backend for a second try, if there is one and the budget allows it."""
        other = self.choose(failed)
        if other is not None and not self.budget.take(self.now()):
            self.counts.budget_exhausted()
            return None
        return other

    def apply_changes(self) -> None:
        """Have the backends that the settings and the changes in force ask for."""
        self.group.apply(wanted(self.settings.backends, self.changes.changes))
        self.counts.changes(self.changes.serial)

    def tell_changes(self) -> None:
        """Say in the log what was changed by hand."""
        for address, change in self.changes.changes.items():
            say(f"backend {address} is changed by hand: {describe(change)}")

    def _look_for_changes(self) -> None:
        if self.changes.look():
            self.apply_changes()
            if self.changes.problem:
                say(self.changes.problem)

    # What happened

    def client_connected(self, client: ClientConnection) -> None:
        self.clients.add(client)

    def client_disconnected(self, client: ClientConnection) -> None:
        self.clients.discard(client)

    def started(self) -> None:
        """A request is being sent to a backend from now on; `ended` takes it back."""
        self.in_flight += 1
        self._arrived += 1
        self.budget.request()
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
        if failure != "stale":  # closed for idleness, most likely
            self.group.failed(backend)

    def backend_is_ill(self, backend: Backend) -> None:
        """It answered 502, 503 or 504, and the client got that answer."""
        self.group.failed(backend)

    def retried(self, failure: Failure) -> None:
        self.counts.retried(failure)

    def finished(self, exchange: Exchange, backend: str) -> None:
        """Count and log a request that is over, however it ended."""
        seconds = self.now() - exchange.started
        head = exchange.head
        gone = exchange.ended == "client_gone"
        # A tunnel has been answered when it began; how long it lasted stands in the log alone.
        answered = exchange.switched_at - exchange.started if exchange.switched_at else seconds
        self.counts.finished(backend, head.method, exchange.status, answered, client_gone=gone)
        if self.log.enabled:
            line = {
                "time": rfc3339(time.time() - seconds),
                "service": "balancer",
                "worker": self._pid,
                "request_id": head.request_id,
                "trace_id": head.trace_id,
                "client": self.client_of(exchange),
                "method": head.method.decode("latin-1"),
                "path": head.target.decode("latin-1"),
                "status": exchange.status,
                "duration_ms": int(seconds * 1_000_000) / 1000,
                "backend": backend,
                "retries": exchange.attempts.retries + exchange.attempts.free_tries,
                "bytes": exchange.bytes_sent,
                "ended": exchange.ended,
            }
            if exchange.ended == "refused":
                line["error"] = exchange.error
            if exchange.ended in ("refused", "backend_cut"):
                line["reason"] = exchange.reason
            self.log.write(line)

    def client_of(self, exchange: Exchange) -> str:
        """Who asked: the peer, or for whom a trusted peer asks."""
        peer, claim = exchange.client.peer, exchange.head.fields.claim
        if claim is None or not peer.trusted:
            return peer.address
        return self.trusted_proxies.client_of(claim, peer)

    def refused(self, client: str, problem: Problem, parsed: ParsedRequest | None) -> None:
        """Count and log a request that was never understood, `parsed` as far as it was."""
        self.counts.finished("", b"_OTHER", problem.status, 0.0, client_gone=False)
        if self.log.enabled:
            line = {
                "time": rfc3339(time.time()),
                "service": "balancer",
                "worker": self._pid,
                "request_id": problem.request_id,
                "client": client,
                "status": problem.status,
                "ended": "refused",
                "error": problem.error,
                "reason": problem.reason,
            }
            if parsed is not None:
                line["method"] = parsed.method.decode("latin-1")
                line["path"] = parsed.target.decode("latin-1")
            self.log.write(line)

    # The coarse timer

    def awake(self) -> float:
        """Seconds in which this loop ran as it should: what a backend may be given time by. It
        is not to blame that nobody looked at what it had sent."""
        return self.now() - self._stood

    async def keep_time(self) -> None:
        """Enforce every time-out until cancelled."""
        while True:
            asked = self.now()
            await asyncio.sleep(TICK_SECONDS)
            now = self.now()
            self.late = max(0.0, now - asked - TICK_SECONDS)
            self._stood += self.late
            for client in list(self.clients):
                client.check(now - self.late)  # what came while this loop stood is not read yet
            self._look_for_changes()
            self.budget.advance(now)
            self.group.tick(now, rush=self._rush.goes_on(self._arrived, now))
            self._arrived = 0
            self._set_gauges()

    def _set_gauges(self) -> None:
        upstream = sum(pool.open_connections for pool in self.pools.values())
        self.counts.connections(client=len(self.clients), upstream=upstream)
        self.counts.tunnels(self.tunnels)
        self.counts.retry_budget(self.budget.left())

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
        self.group.close()
