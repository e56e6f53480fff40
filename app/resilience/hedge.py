"""When an attempt is slow, and another one is started beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """Up to `hedges` more attempts beside slow ones, each `delay` after the attempt before it.

    `delay = clamp(floor, 3 * p95 of successes over the last minute, cap)`, `start` while fewer
    successes are known than make a p95. Source: J. Dean and L. Barroso, "The Tail at Scale" (CACM
    56/2, 2013), which hedges after the p95; three times that, because here a hedge is for an
    answer that does not come, not for one a little late. Successes alone count: with failures or
    abandoned attempts among them, the delay would follow the very slowness it is to cut off.

    For idempotent calls only. 0 hedges switch it off.
    """

    hedges: int = 4
    floor: float = 0.020
    cap: float = 0.250
    start: float = 0.100
    factor: float = 3.0

    def delay(self, p95: float | None) -> float:
        """Seconds; `p95` is None while it is unknown."""
        if p95 is None:
            return min(self.cap, max(self.floor, self.start))
        return min(self.cap, max(self.floor, self.factor * p95))
