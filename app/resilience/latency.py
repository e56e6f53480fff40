"""How long successes take: counts in buckets whose bounds grow by a fifth."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

# 1 ms * 1.2^n up to 2.3 s and one beyond: an estimate from them is at most 20 % too high, as in
# the exponential histograms of OpenTelemetry and HdrHistogram, in 44 numbers.
BOUNDS = tuple(0.001 * 1.2**n for n in range(43))
BUCKETS = len(BOUNDS) + 1
ENOUGH = 20  # samples, below which a p95 is one unlucky answer


def bucket(seconds: float) -> int:
    return bisect_left(BOUNDS, seconds)


def quantile(counts: Sequence[float], share: float) -> float | None:
    """The upper bound of the bucket that holds it; None for fewer samples than `ENOUGH`."""
    total = sum(counts)
    if total < ENOUGH:
        return None
    left = share * total
    for bound, count in zip(BOUNDS, counts, strict=False):
        left -= count
        if left <= 0:
            return bound
    return BOUNDS[-1]
