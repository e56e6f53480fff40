"""How many requests may be tried again. Pure: told the time, never asks.

Retries help against one ill backend; when all are ill they double the load on what is left.
Finagle, Linkerd and Envoy allow a fifth of the requests and a floor, so that a quiet service can
retry at all: here 3 a second, counted over ten seconds like the fifth.
"""

from __future__ import annotations

from .recent import RecentCounts

WINDOW_SECONDS = 10.0


class RetryBudget:
    """Counts the requests and retries of the last ten seconds of one worker.

    Args:
        ratio: retries per request.
        floor: retries a second that are allowed on top.
    """

    def __init__(self, ratio: float, floor: float) -> None:
        self._ratio = ratio
        self._floor = floor * WINDOW_SECONDS
        self._recent = RecentCounts(WINDOW_SECONDS)

    def request(self) -> None:
        """A request began."""
        self._recent.good += 1

    def take(self, now: float) -> bool:
        """Whether one more retry may be made; it is counted if so."""
        self._recent.advance(now)
        if self.left() < 1:
            return False
        self._recent.bad += 1
        return True

    def left(self) -> float:
        """Retries that may be made now, at least 0."""
        requests, retries = self._recent.recent()
        return max(0.0, self._ratio * requests + self._floor - retries)

    def advance(self, now: float) -> None:
        """Let time pass."""
        self._recent.advance(now)
