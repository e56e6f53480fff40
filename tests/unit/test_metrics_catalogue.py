"""The catalogue keeps Prometheus' naming rules, so that code and dashboards cannot break them."""

import re
from itertools import pairwise

import pytest

from monitoring.catalogue import BY_NAME, HTTP_SECONDS, METRICS

# Inherited names that break the rules (of the second promtool complains too).
INHERITED = {"requests_failed", "redis_keys_total"}
METRIC_IDS = [metric.name for metric in METRICS]

every_metric = pytest.mark.parametrize("metric", METRICS, ids=METRIC_IDS)


def test_no_name_is_there_twice():
    assert len(BY_NAME) == len(METRICS)


@every_metric
def test_a_name_ends_as_its_type_demands(metric):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
    if metric.name not in INHERITED:
        assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_milliseconds", "_ms"))


@every_metric
def test_only_a_histogram_has_buckets_and_they_grow(metric):
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert all(low < high for low, high in pairwise(metric.buckets))


@every_metric
def test_labels_are_plain_and_none_is_prometheus_own(metric):
    assert len(set(metric.labels)) == len(metric.labels)
    for label in metric.labels:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", label)
        assert label not in {"le", "quantile", "job", "instance"}


@every_metric
def test_help_is_a_sentence(metric):
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")


@every_metric
def test_only_gauges_are_merged_other_than_by_adding(metric):
    assert metric.merge == "sum" or metric.kind == "gauge"


def test_latency_buckets_have_a_bound_at_each_apdex_limit():
    assert {0.25, 1.0} <= set(HTTP_SECONDS)


@pytest.mark.parametrize(
    "name",
    [
        "uptime_seconds",
        "requests_total",
        "requests_failed",
        "redis_keys_total",
        "http_requests_total",
        "failures_total",
        "delays_total",
    ],
)
def test_the_names_that_users_already_know_stay(name):
    assert name in BY_NAME
