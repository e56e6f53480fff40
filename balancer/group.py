"""The backends of one worker: they come and go, one is chosen, some are taken out.

What they are comes from the settings and from changes made by people (`membership.py`); what is
known of each is counted per worker: every worker checks and ejects for itself.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from .backends import Backend
from .counts import Counts
from .ejection import EjectionRules, Outlier, may_eject
from .selection import selection
from .settings import Member, Settings
from .upstream import ConnectionPool


class BackendGroup:
    """Keeps backends, their connections and the policy in step.

    Args:
        settings: see `Settings`.
        counts: metrics of this worker's row.
        clock: seconds, monotonic.
        rng: the policy's dice.
    """

    def __init__(
        self,
        settings: Settings,
        counts: Counts,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._now = clock
        self._started = False
        self._rules = EjectionRules(
            in_a_row=settings.eject_after, out_seconds=settings.eject_seconds
        )
        self.pools: dict[Backend, ConnectionPool] = {}
        self._selection = selection(settings.policy, (), rng)
        self.choose = self._selection.choose
        self.apply(settings.backends)
        self._started = True

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those that are wanted and those that still finish what they have."""
        return self._selection.backends

    def apply(self, members: Iterable[Member]) -> None:
        """Have these members from now on. One that is no longer wanted drains and is then
        forgotten; what is known of the others stays."""
        known = {backend.address: backend for backend in self.backends}
        wanted = []
        for member in members:
            backend = known.pop(member.address, None) or self._new(member)
            backend.weight = member.weight
            backend.draining = member.draining
            backend.removing = False
            wanted.append(backend)
        for backend in known.values():
            backend.draining = backend.removing = True
        self._selection.adopt([*wanted, *known.values()])

    def _new(self, member: Member) -> Backend:
        backend = Backend(
            member.address,
            # One that joins a running balancer waits for its first check.
            healthy=self._settings.health_path is None or not self._started,
            max_in_flight=self._settings.backend_max_in_flight,
            outlier=Outlier(self._rules),
        )
        self.pools[backend] = ConnectionPool(backend, self._settings, self._now)
        self._counts.know(backend.label)
        return backend

    def failed(self, backend: Backend) -> None:
        """An attempt brought no usable answer, and the backend is to blame."""
        now = self._now()
        if backend.ejected or not backend.outlier.failed(now):
            return
        if backend.concurrency.strained(backend.in_flight, now):  # the others have as much to do
            return
        if may_eject(backend, self.backends):
            backend.ejected = True
            seconds = backend.outlier.eject(now)
            self._counts.ejected(backend.label)
            self._counts.backend(backend)
            say(f"backend {backend.label} is out for {seconds:g} s: its requests fail")

    def tick(self, now: float, *, rush: bool) -> None:
        """Called by the coarse timer. `rush`: far more requests come than before."""
        stands_for = self._stands_for()
        for backend in self.backends:
            if backend.outlier.advance(now) and backend.ejected:
                backend.ejected = False
                say(f"backend {backend.label} gets requests again")
            backend.max_in_flight = backend.concurrency.adjust(
                backend.in_flight, now, rush=rush, stands_for=stands_for
            )
            pool = self.pools[backend]
            if backend.draining:
                pool.close()
            else:
                pool.close_idle(now)
            if backend.removing and not backend.in_flight:
                self._forget(backend)
            else:
                self._counts.backend(backend)

    def _stands_for(self) -> float:
        """How many backends' work each of those in service gets."""
        wanted = [backend for backend in self.backends if not backend.draining]
        return len(wanted) / max(1, sum(backend.in_service for backend in wanted))

    def _forget(self, backend: Backend) -> None:
        self._selection.adopt(other for other in self.backends if other is not backend)
        self.pools.pop(backend).close()
        self._counts.forget(backend.label)
        say(f"backend {backend.label} is removed")

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()


def say(what: str) -> None:
    with suppress(OSError):  # a log that nobody reads is no reason to stop working
        print(f"balancer: {what}", file=sys.stderr, flush=True)
