"""Whether far more requests come than did lately. Pure.

A queue that stands tells late that there is too much to do, and not what for: a backend whose CPUs
another program used for half a second has one too, and will have worked it off in a moment, so that
nobody need be refused. Where five times as many requests come as a moment ago there is no such
hope, and each tenth of a second of patience is one of waiting for all that were let in.
"""

from __future__ import annotations

from math import exp

FACTOR = 3.0  # more than one backend gets when the other one fails
ROOM = 50  # requests more in a tick, however few there were before
USUAL_SECONDS = 3.0  # over which what is usual is averaged
HELD_SECONDS = 1.0  # that it is thought to go on
LEARNING_SECONDS = 1.0  # a worker that takes another one's place gets its requests bit by bit


class Rush:
    """Asked once a tick; what is usual is learnt from the first tick with any request on."""

    def __init__(self, tick_seconds: float) -> None:
        self._weight = 1 - exp(-tick_seconds / USUAL_SECONDS)
        self._learning = LEARNING_SECONDS / tick_seconds
        self._ticks = 0
        self._usual = 0.0
        self._until = 0.0

    def goes_on(self, arrived: int, now: float) -> bool:
        """`arrived`: requests since it was asked last. `now` in seconds, monotonic."""
        if not self._ticks and not arrived:
            return False
        self._ticks += 1
        if self._ticks > self._learning and arrived > FACTOR * self._usual + ROOM:
            self._until = now + HELD_SECONDS
        self._usual += max(self._weight, 1 / self._ticks) * (arrived - self._usual)
        return now < self._until
