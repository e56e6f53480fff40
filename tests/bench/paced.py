"""What the open-loop generator is told and what it tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

_LATE = 0.001  # seconds; 20 us when the generator keeps up
_SATURATED = 1.5  # a stall at the end of a second makes 1.1 or 1.2
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """`request` is sent as it is; answers whose body contains `mark` are counted apart."""

    port: int
    request: str
    rate: float  # requests a second
    seconds: float
    warmup: float = 0.0  # seconds before, not measured
    connections: int = 64
    seed: int = 1
    mark: str = ""


@dataclass(frozen=True)
class Outcome:
    """Seconds. `latency` is from due to answered. `late` is what the generator added to that: from
    due, or from when a connection was free, to sent.

    `sending_took`: time it took to send everything over the time it should have taken.
    """

    planned: int
    answered: int
    errors: Mapping[str, int]
    marked: int
    sending_took: float
    mean: float
    latency: Mapping[str, float]
    late: Mapping[str, float]

    def problem(self) -> str | None:
        """Why this run says nothing, or None."""
        if self.errors:
            told = ", ".join(f"{count} × {why}" for why, count in sorted(self.errors.items()))
            return f"{told}, beside {self.answered} good answers"
        if self.answered < self.planned:
            return f"{self.planned - self.answered} of {self.planned} not answered"
        if self.late["p50"] > _LATE:
            return (
                f"the load generator was too slow: half of its requests {_LATE * 1e3:.0f} ms late"
            )
        if self.sending_took > _SATURATED:
            return f"it cannot carry the rate: it took {self.sending_took:.1f} × the time"
        return None


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Nearest rank: the smallest value that at least that share of all is not above."""
    ordered = sorted(values)
    return {
        name: ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0
        for name, share in QUANTILES.items()
    }
