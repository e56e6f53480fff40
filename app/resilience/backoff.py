"""How long to wait before a retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FullJitter:
    """`rand(0, min(cap, base * 2^n))` seconds before retry n = 0, 1, 2…

    Full jitter spreads retries of many callers best ("Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015); 25 and 250 ms are the defaults of Envoy's router.
    """

    base: float = 0.025
    cap: float = 0.250

    def seconds(self, retry: int, random: Callable[[], float]) -> float:
        """`random` returns a number in [0, 1)."""
        # 2.0**1024 overflows; the cap is reached long before.
        return random() * min(self.cap, self.base * 2.0 ** min(retry, 64))
