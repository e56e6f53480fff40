"""The total deadline of a call: one point in time, from which every attempt takes what is left."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Below this no attempt is begun: nothing could come of it. A healthy answer over loopback takes
# 1 to 3 ms, and a busy event loop may be 10 ms late.
ATTEMPT_FLOOR = 0.020

_MILLISECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deadline:
    """`expires` is a time on the clock whose readings are passed as `now`, in seconds."""

    expires: float

    @classmethod
    def after(cls, seconds: float, remainder: float | None, now: float) -> Deadline:
        """Own limit or what the caller has left (None: it did not say), whichever is less."""
        return cls(now + (seconds if remainder is None else min(seconds, remainder)))

    def remaining(self, now: float) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.expires - now)

    def allows(self, now: float, wait: float = 0.0) -> bool:
        """Whether an attempt that begins `wait` seconds from now can come to anything."""
        return self.expires - now - wait >= ATTEMPT_FLOOR


def parse_remainder(value: str | None) -> float | None:
    """Seconds from an `X-Request-Timeout-Ms` field; None when absent or not a plain number.

    A caller's mistake here must not cost it the answer, so nonsense counts as absent.
    """
    if value is None or not _MILLISECONDS.fullmatch(value):
        return None
    return int(value) / 1000
