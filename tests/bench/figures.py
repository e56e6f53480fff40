"""From samples to figures: medians, spreads, ratios within a round, numbers for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of some samples."""

    median: float
    low: float
    high: float
    count: int


def spread(samples: Sequence[float]) -> Spread | None:
    """None when there is no sample."""
    if not samples:
        return None
    return Spread(median(samples), min(samples), max(samples), len(samples))


def ratio(samples: Sequence[float], baseline: Sequence[float]) -> Spread | None:
    """Each sample over the baseline's of the same round, so that what slows the machine down for
    a while slows both down. None when there are no such pairs, a baseline is not above 0 or a
    sample below it (a difference of two times that are mostly noise).
    """
    if len(samples) != len(baseline) or min([*baseline, 0.0]) < 0 or min([*samples, 0.0]) < 0:
        return None
    if 0 in baseline:
        return None
    return spread([one / other for one, other in zip(samples, baseline, strict=True)])


def shown(value: float, unit: str) -> str:
    """A number with its unit, for people; three digits that mean something."""
    match unit:
        case "seconds":
            return _seconds(value)
        case "bytes":
            return f"{value / 2**20:,.1f} MiB"
        case "share":
            places = 0 if value == 0 or abs(value) >= 0.1 else 1 if abs(value) >= 0.001 else 3
            return f"{value:.{places}%}"
        case "times":
            return f"{_three_digits(value)} ×"
        case _:
            return _three_digits(value)


def _seconds(value: float) -> str:
    if abs(value) >= 1:
        return f"{value:.2f} s"
    if abs(value) >= 0.001:
        return f"{value * 1e3:.{1 if abs(value) < 0.1 else 0}f} ms"
    return f"{value * 1e6:.0f} µs"


def _three_digits(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"
