from __future__ import annotations

import json

import pytest

from tests.bench.figures import Spread
from tests.bench.results import Chart, Metric, Result, from_json, to_json


def a_result() -> Result:
    result = Result(
        name="speed",
        title="Speed",
        about="How fast.",
        baseline="NGINX",
        metrics=(
            Metric("rate", "requests/s", better="more", compared=True),
            Metric("memory", "memory", "bytes", "less"),
        ),
        charts=(Chart("rate", "ratios", "Requests/s"),),
    )
    for ours, nginx in ((50, 100), (60, 100), (80, 200)):
        result.add("100 B", "ours", rate=ours, memory=2**20)
        result.add("100 B", "NGINX", rate=nginx, memory=2**21)
    return result


def test_a_row_with_an_error_has_no_figures():
    result = a_result()
    result.refuse("100 B", "ours", "1 × status above 399")
    row = result.row("100 B", "ours")
    assert row.spread("rate") is None
    assert result.ratio(row, result.metric("rate")) is None
    assert not result.is_good


def test_nothing_is_compared_with_a_baseline_that_had_errors():
    result = a_result()
    result.refuse("100 B", "NGINX", "1 × status above 399")
    row = result.row("100 B", "ours")
    assert result.ratio(row, result.metric("rate")) is None
    assert row.spread("rate") == Spread(60, 50, 80, 3)


def test_a_peer_that_failed_makes_the_result_bad_and_one_that_is_absent_does_not():
    result = a_result()
    result.absent["HAProxy"] = "not installed"
    assert result.is_good
    result.failed["Envoy"] = "ended at once"
    assert not result.is_good


def test_a_result_without_rows_is_not_good():
    empty = a_result()
    empty.rows.clear()
    assert not empty.is_good


def test_ours_is_compared_with_the_baseline_of_the_same_case():
    result = a_result()
    row = result.row("100 B", "ours")
    assert result.ratio(row, result.metric("rate")) == Spread(0.5, 0.4, 0.6, 3)
    assert result.ratio(row, result.metric("memory")) is None
    assert result.ratio(result.row("100 B", "NGINX"), result.metric("rate")) is None


def test_a_contender_without_baseline_in_its_case_is_compared_with_nothing():
    result = a_result()
    result.add("1 MB", "ours", rate=5)
    assert result.ratio(result.row("1 MB", "ours"), result.metric("rate")) is None


def test_a_metric_that_was_not_declared_is_an_error():
    with pytest.raises(StopIteration):
        a_result().add("100 B", "ours", speed=1)


def test_rows_of_a_case_stand_together_whatever_the_order_they_came_in():
    result = a_result()
    result.add("1 MB", "ours", rate=1)
    result.add("100 B", "HAProxy", rate=1)
    assert [(row.case, row.contender) for row in result.rows] == [
        ("100 B", "ours"), ("100 B", "NGINX"), ("100 B", "HAProxy"), ("1 MB", "ours"),
    ]  # fmt: skip


def test_a_result_survives_the_file():
    result = a_result()
    result.refuse("1 MB", "ours", "not one answer")
    assert from_json(json.loads(json.dumps(to_json(result)))) == result


def test_the_file_has_the_figures_beside_the_samples():
    told = to_json(a_result())["rows"][0]["figures"]["rate"]
    assert told["median"] == 60
    assert told["ratio"] == {"median": 0.5, "low": 0.4, "high": 0.6, "count": 3}
