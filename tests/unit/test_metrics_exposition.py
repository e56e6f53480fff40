"""The exposition: what the rows of all workers say together, as text that Prometheus takes."""

from collections import Counter
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.catalogue import BY_NAME
from monitoring.exposition import CONTENT_TYPE, render
from monitoring.page import MetricsPage
from tests.exposition_text import parse, sample

ROWS = 4
ATTEMPT = "external_request_duration_seconds"


@settings(deadline=None)  # the machine may be busy
@given(
    counted=st.lists(
        st.tuples(
            st.integers(0, 1),  # page: app1, app2
            st.integers(0, ROWS - 1),
            st.sampled_from(["200", "404", "503"]),
            st.integers(0, 1000),
            st.booleans(),  # a new worker takes over the row first
        )
    )
)
def test_the_sum_over_rows_and_pages_is_what_was_counted(counted):
    pages = [MetricsPage(rows=ROWS, columns=8) for _ in range(2)]
    recorders = [[page.recorder(row) for row in range(ROWS)] for page in pages]
    expected: Counter[str] = Counter()
    for page, row, status, amount, replaced in counted:
        if replaced:
            recorders[page][row] = pages[page].recorder(row)
        cell = recorders[page][row].counter(
            "http_requests_total", method="GET", route="/", status=status
        )
        cell.inc(amount)
        expected[status] += amount
    values = parse(render(pages))
    assert values == {
        sample("http_requests_total", method="GET", route="/", status=status): amount
        for status, amount in expected.items()
    }


@settings(deadline=None)
@given(
    observed=st.lists(
        st.tuples(st.integers(0, ROWS - 1), st.floats(0, 30).map(lambda s: s // 1e-3))
    )
)
def test_buckets_are_cumulative_and_their_last_is_the_count_of_all_observations(observed):
    page = MetricsPage(rows=ROWS, columns=32)
    histograms = [page.recorder(row).histogram(ATTEMPT) for row in range(ROWS)]
    seconds = [milliseconds / 1000 for _row, milliseconds in observed]
    for (row, _), value in zip(observed, seconds, strict=True):
        histograms[row].observe(value)
    values = parse(render([page]))
    for bound in (*BY_NAME[ATTEMPT].buckets, inf):
        label = "+Inf" if bound == inf else str(bound)
        assert values[sample(f"{ATTEMPT}_bucket", le=label)] == sum(v <= bound for v in seconds)
    assert values[sample(f"{ATTEMPT}_count")] == len(seconds)
    assert values[sample(f"{ATTEMPT}_sum")] == pytest.approx(sum(seconds))


@settings(deadline=None)
@given(reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_no_label_value_breaks_the_text(reason):
    page = MetricsPage(rows=1, columns=2)
    page.recorder(0).counter("balancer_retries_total", reason=reason).inc(2)
    assert parse(render([page])) == {sample("balancer_retries_total", reason=reason): 2}


def test_a_known_series_is_there_at_zero_before_the_first_event():
    page = MetricsPage(rows=1)
    page.recorder(0).counter("failures_total")
    page.recorder(0).histogram(ATTEMPT)
    values = parse(render([page]))
    assert values[sample("failures_total")] == 0
    assert values[sample(f"{ATTEMPT}_count")] == 0


@pytest.mark.parametrize(
    ("name", "reported", "merged"),
    [
        ("http_requests_in_flight", [2, 3, 0], 5),
        ("fault_rate", [0.3, 0.3, 0.3], 0.3),
        ("process_start_time_seconds", [1000, 900, 0], 900),
    ],
)
def test_gauges_of_workers_add_up_unless_all_report_the_same_fact(name, reported, merged):
    page = MetricsPage(rows=ROWS)
    labels = dict.fromkeys(BY_NAME[name].labels, "x")
    for row, value in enumerate(reported):
        page.recorder(row).gauge(name, **labels).set(value)
    assert parse(render([page]))[sample(name, **labels)] == merged


def test_a_worker_that_does_not_report_a_gauge_does_not_make_it_zero():
    page = MetricsPage(rows=ROWS)
    page.recorder(0).gauge("redis_shard_up", shard="redis1").set(1)
    page.recorder(1).counter("requests_total")
    assert parse(render([page]))[sample("redis_shard_up", shard="redis1")] == 1


def test_a_gauge_that_no_living_worker_reports_any_more_is_gone():
    page = MetricsPage(rows=ROWS)
    page.recorder(0).gauge("redis_shard_up", shard="redis3").set(1)
    page.recorder(0).gauge("redis_shard_up", shard="redis1").set(1)
    assert parse(render([page])) == {sample("redis_shard_up", shard="redis1"): 1}


def test_uptime_counts_from_the_earliest_start_of_the_fleet():
    pages = [MetricsPage(rows=1), MetricsPage(rows=1)]
    for page, started in zip(pages, (1000.0, 400.0), strict=True):
        page.recorder(0).gauge("process_start_time_seconds").set(started)
    values = parse(render(pages, clock=lambda: 1500.0))
    assert values[sample("uptime_seconds")] == 1100
    assert values[sample("process_start_time_seconds")] == 400


def test_before_any_worker_has_reported_there_is_no_uptime():
    page = MetricsPage(rows=1)
    page.recorder(0).gauge("process_start_time_seconds")
    assert parse(render([page])) == {}


def test_a_value_known_only_now_replaces_what_the_pages_hold():
    page = MetricsPage(rows=1)
    page.recorder(0).gauge("redis_keys_total", shard="redis1").set(7)
    values = parse(render([page], {"redis_keys_total": {("redis1",): 9.0, ("redis2",): 3.0}}))
    assert values == {
        sample("redis_keys_total", shard="redis1"): 9,
        sample("redis_keys_total", shard="redis2"): 3,
    }


def test_a_shard_that_does_not_answer_has_no_key_count_rather_than_zero():
    assert parse(render([MetricsPage(rows=1)], {"redis_keys_total": {}})) == {}


def test_a_value_outside_the_catalogue_is_refused():
    with pytest.raises(KeyError, match="made_up"):
        render([], {"made_up": {(): 1.0}})


@pytest.mark.parametrize(
    "column", [("renamed_total", "", ()), ("fallbacks_total", "", ("shed", "stale"))]
)
def test_series_that_an_older_version_counted_are_left_out(tmp_path, column, monkeypatch):
    page = MetricsPage(tmp_path / "app1", rows=1)
    page.recorder(0).counter("requests_total").inc()
    with monkeypatch.context() as older:
        older.setitem(BY_NAME, "renamed_total", BY_NAME["requests_total"])
        page.column(column)
    assert parse(render([page])) == {sample("requests_total"): 1}


def test_requests_failed_is_exposed_under_its_inherited_name_as_untyped():
    page = MetricsPage(rows=1)
    page.recorder(0).counter("requests_failed").inc(2)
    lines = render([page]).decode().splitlines()
    assert "# TYPE requests_failed untyped" in lines
    assert "requests_failed 2.0" in lines


def test_the_content_type_names_the_text_format_that_prometheus_3_demands():
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_nothing_counted_yet_is_an_empty_exposition():
    assert render([]) == b""
