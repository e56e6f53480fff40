"""Metric pages as Prometheus text, with the worker rows merged.

Text format 0.0.4: Prometheus 2.42 and 3.x both take it, and a person can read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isnan

from prometheus_client import generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)

from . import catalogue
from .page import MetricsPage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]
Samples = Mapping[str, Mapping[Labels, float]]  # metric name -> label values -> value
Totals = dict[str, dict[tuple[Labels, str], float]]


def render(
    pages: Iterable[MetricsPage],
    extra: Samples | None = None,
    *,
    clock: Callable[[], float] = time.time,
) -> bytes:
    """The exposition of all pages together.

    Args:
        pages: those of one service, or of the whole fleet.
        extra: values known only now (keys per shard). Names must be in the catalogue; they
            replace what the pages hold under the same name.
        clock: Unix time in seconds; `uptime_seconds` is reckoned from the earliest start.
    """
    totals = _merge(pages)
    for name, samples in (extra or {}).items():
        totals[catalogue.BY_NAME[name].name] = {
            (labels, ""): value for labels, value in samples.items()
        }
    started = totals.pop("process_start_time_seconds", {}).get(((), ""), 0.0)
    if started > 0:  # else no worker has reported yet
        totals["process_start_time_seconds"] = {((), ""): started}
        totals["uptime_seconds"] = {((), ""): clock() - started}
    return generate_latest(_Families(totals))


def _merge(pages: Iterable[MetricsPage]) -> Totals:
    totals: Totals = {}
    for page in pages:
        live = page.live_rows()
        for (name, suffix, labels), column in list(page.series().items()):
            metric = catalogue.BY_NAME.get(name)
            if metric is None or len(labels) != len(metric.labels):
                continue  # left by an older version of the code
            values = page.values(column)
            if metric.kind == "gauge":
                values = [values[row] for row in live if not isnan(values[row])]
            if not values:
                continue
            series = totals.setdefault(name, {})
            key = (labels, suffix)
            if key in series:
                values.append(series[key])
            series[key] = _MERGE[metric.merge](values)
    return totals


def _earliest(values: list[float]) -> float:
    return min((value for value in values if value > 0), default=0.0)


_MERGE: dict[catalogue.Merge, Callable[[list[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": _earliest,
}


class _Families:
    """What `generate_latest` asks of a registry."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for metric in catalogue.METRICS:
            series = self._totals.get(metric.name)
            if series:
                yield _family(metric, series)


def _family(metric: catalogue.Metric, series: dict[tuple[Labels, str], float]) -> Metric:
    labels = list(metric.labels)
    if metric.kind == "histogram":
        return _histogram(metric, series)
    family: CounterMetricFamily | GaugeMetricFamily | UntypedMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.name, metric.help, labels=labels)
    elif metric.kind == "gauge":
        family = GaugeMetricFamily(metric.name, metric.help, labels=labels)
    else:
        family = UntypedMetricFamily(metric.name, metric.help, labels=labels)
    for (values, _suffix), value in sorted(series.items()):
        family.add_metric(list(values), value)
    return family


def _histogram(
    metric: catalogue.Metric, series: dict[tuple[Labels, str], float]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=list(metric.labels))
    for values in sorted({labels for labels, _suffix in series}):
        cumulated, buckets = 0.0, []
        for bound in (*(repr(bound) for bound in metric.buckets), "+Inf"):
            cumulated += series.get((values, bound), 0.0)
            buckets.append((bound, cumulated))
        family.add_metric(list(values), buckets, series.get((values, "_sum"), 0.0))
    return family
