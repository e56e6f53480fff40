"""Two counts, and how much came to them in the last seconds. Pure: told the time, never asks."""

from __future__ import annotations

from collections import deque

_STEPS = 10


class RecentCounts:
    """Counts what went well and what went badly.

    Whoever counts adds to `good` and `bad`, which never shrink: counting costs an addition and
    no look at the clock. The marks of a time window are set by `advance`, which a coarse timer
    calls; the window is a tenth of itself exact.

    Args:
        seconds: of the window.
    """

    __slots__ = ("_marks", "_next", "_step", "bad", "good")

    def __init__(self, seconds: float) -> None:
        self.good = 0
        self.bad = 0
        self._step = seconds / _STEPS
        self._next = 0.0
        self._marks: deque[tuple[int, int]] = deque([(0, 0)], maxlen=_STEPS)

    def advance(self, now: float) -> None:
        """Let the window end at `now` (seconds, monotonic)."""
        if now < self._next:
            return
        self._next = self._next or now
        steps = (now - self._next) // self._step + 1
        self._marks.extend([(self.good, self.bad)] * int(min(steps, _STEPS)))
        self._next += steps * self._step

    def recent(self) -> tuple[int, int]:
        """What came to `good` and to `bad` in the window."""
        good, bad = self._marks[0]
        return self.good - good, self.bad - bad

    def forget(self) -> None:
        """Begin a new window."""
        self._marks.clear()
        self._marks.append((self.good, self.bad))
