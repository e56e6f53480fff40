"""When active checks take a backend out and bring it back. Pure."""

from __future__ import annotations


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
