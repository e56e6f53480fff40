"""What a program's /metrics said, and how fast it grew since the look before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Readings:
    """Every sample of one exposition: name -> sorted labels -> value; `at` in seconds."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def of(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Labels and value of the series that have these labels."""
        for key, value in self.samples.get(name, {}).items():
            told = dict(key)
            if all(told.get(label) == wanted for label, wanted in labels.items()):
                yield told, value


def parse(text: str, at: float) -> Readings:
    """Raises ValueError for what is no exposition."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = samples.setdefault(sample.name, {})
            series[tuple(sorted(sample.labels.items()))] = sample.value
    return Readings(at, samples)


@dataclass(frozen=True)
class Change:
    """Two looks at one program. A counter that fell began anew: all it has is growth, as in
    Prometheus' `rate`. Without a look before there are no rates yet."""

    now: Readings
    before: Readings | None = None

    def value(self, name: str, **labels: str) -> float:
        """Sum of a gauge's series."""
        return sum(value for _, value in self.now.of(name, **labels))

    def rate(self, name: str, **labels: str) -> float:
        """Growth a second of the matching series together."""
        return sum(self._rates(name, **labels).values())

    def rates(self, name: str, by: str, **labels: str) -> dict[str, float]:
        """Growth a second by the values of one label."""
        parts: dict[str, float] = {}
        for key, rate in self._rates(name, **labels).items():
            value = dict(key).get(by, "")
            parts[value] = parts.get(value, 0.0) + rate
        return parts

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Growth a second of a histogram's cumulative buckets, by upper bound in seconds."""
        bounds = self.rates(f"{name}_bucket", "le", **labels)
        return {float(bound): rate for bound, rate in bounds.items()}

    def _rates(self, name: str, **labels: str) -> dict[Labels, float]:
        if self.before is None or self.now.at <= self.before.at:
            return {}
        seconds = self.now.at - self.before.at
        earlier = self.before.samples.get(name, {})
        rates = {}
        for told, value in self.now.of(name, **labels):
            key = tuple(sorted(told.items()))
            grown = value - earlier.get(key, 0.0)
            rates[key] = (grown if grown >= 0 else value) / seconds
        return rates


def added(parts: list[dict[float, float]]) -> dict[float, float]:
    """Buckets of several programs as one histogram."""
    whole: dict[float, float] = {}
    for part in parts:
        for bound, value in part.items():
            whole[bound] = whole.get(bound, 0.0) + value
    return whole


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """Seconds below which the share `q` lies, as Prometheus' `histogram_quantile` estimates it:
    linear within a bucket, at most the last finite bound; None when nothing was observed."""
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = q * buckets[bounds[-1]]
    for low, high in pairwise([0.0, *bounds]):
        if buckets[high] >= rank:
            if high == float("inf"):
                return low
            below = buckets.get(low, 0.0)
            within = buckets[high] - below
            return low + (high - low) * ((rank - below) / within if within > 0 else 1.0)
    return bounds[-1]
