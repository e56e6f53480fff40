"""Which backend gets the next request. Pure: no sockets, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .settings import Address


@dataclass(eq=False, slots=True)
class Backend:
    """One backend as this worker sees it."""

    address: Address
    label: str = field(init=False)  # made once: it is asked for with every request
    healthy: bool = True
    draining: bool = False
    in_flight: int = 0
    max_in_flight: int = 1024

    def __post_init__(self) -> None:
        self.label = str(self.address)

    @property
    def available(self) -> bool:
        """The one definition of "may get a request"."""
        return self.healthy and not self.draining and self.in_flight < self.max_in_flight


class RoundRobin:
    """Takes the available backends in turn.

    When none is available, every backend that is not draining is used all the same: a check that
    is wrong about all of them must not take the service down.
    """

    def __init__(self, backends: Iterable[Backend]) -> None:
        self.backends: Sequence[Backend] = tuple(backends)
        self._next = 0

    def choose(self, excluded: Backend | None = None) -> Backend | None:
        """The backend for one attempt, or None when only `excluded` or nothing is left."""
        backends = self.backends
        count = len(backends)
        last_resort: tuple[int, Backend] | None = None
        for step in range(count):
            index = (self._next + step) % count
            backend = backends[index]
            if backend is excluded:
                continue
            if backend.available:
                self._next = index + 1
                return backend
            if last_resort is None and not backend.draining:
                last_resort = (index, backend)
        if last_resort is None:
            return None
        self._next = last_resort[0] + 1
        return last_resort[1]


class HealthCount:
    """Turns single check results into "healthy" by counting: `fall` failures in a row take a
    backend out, `rise` passes bring it back. Before the first result one pass is enough."""

    def __init__(self, fall: int, rise: int) -> None:
        self._fall = fall
        self._rise = rise
        self._passes = rise - 1
        self._failures = 0

    def passed(self, healthy: bool) -> bool:
        """Whether the backend is healthy after a check that passed."""
        self._failures = 0
        self._passes += 1
        return healthy or self._passes >= self._rise

    def failed(self, healthy: bool) -> bool:
        """Whether the backend is still healthy after a check that failed."""
        self._passes = 0
        self._failures += 1
        return healthy and self._failures < self._fall

    def refused(self) -> bool:
        """Nobody listens: out at once, whatever the count; checks bring it back."""
        self._passes = 0
        self._failures = self._fall
        return False
