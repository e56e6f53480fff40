"""The shared page: nothing counted is lost, nothing foreign is taken over, errors are clear."""

import resource
from pathlib import Path

import pytest

from monitoring.page import MetricsPage, PageFullError
from monitoring.shared_file import ForeignFileError


def total(page: MetricsPage, name: str, *labels: str) -> float:
    return sum(page.values(page.column((name, "", labels))))


def test_a_full_page_refuses_new_series_and_goes_on_counting_the_old_ones():
    page = MetricsPage(rows=2, columns=2)
    recorder = page.recorder(0)
    failures = recorder.counter("failures_total")
    recorder.counter("delays_total")
    with pytest.raises(PageFullError, match="requests_total"):
        recorder.counter("requests_total")
    failures.inc()
    recorder.counter("failures_total").inc()
    assert total(page, "failures_total") == 2


def test_a_histogram_that_does_not_fit_is_refused_and_harms_no_other_series():
    page = MetricsPage(rows=1, columns=5)
    recorder = page.recorder(0)
    recorder.counter("failures_total").inc(3)
    with pytest.raises(PageFullError):
        recorder.histogram("external_request_duration_seconds")
    assert total(page, "failures_total") == 3


def test_a_series_with_an_endless_label_is_refused():
    recorder = MetricsPage(rows=1).recorder(0)
    with pytest.raises(PageFullError, match="longer than 256 bytes"):
        recorder.counter("balancer_retries_total", reason="x" * 300)


@pytest.mark.parametrize(
    ("kind", "name", "labels", "error", "says"),
    [
        ("counter", "made_up_total", {}, KeyError, "not in monitoring/catalogue.py"),
        ("gauge", "requests_total", {}, TypeError, "is a counter, not a gauge"),
        ("counter", "uptime_seconds", {}, TypeError, "is a gauge, not a counter"),
        ("histogram", "requests_total", {}, TypeError, "is a counter, not a histogram"),
        ("counter", "fallbacks_total", {}, TypeError, "has the labels"),
        ("counter", "fallbacks_total", {"cause": "x"}, TypeError, "has the labels"),
        ("counter", "requests_total", {"shard": "redis1"}, TypeError, "has the labels"),
    ],
)
def test_what_is_not_in_the_catalogue_cannot_be_counted(kind, name, labels, error, says):
    recorder = MetricsPage(rows=1).recorder(0)
    with pytest.raises(error, match=says):
        getattr(recorder, kind)(name, **labels)


@pytest.mark.parametrize("row", [-1, 2, 64])
def test_a_row_that_the_page_does_not_have_is_refused(row):
    with pytest.raises(IndexError, match=f"row {row} is outside 0..1"):
        MetricsPage(rows=2).recorder(row)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        MetricsPage(tmp_path / "file" / "app1")


def test_a_full_disk_is_an_error_at_creation_and_not_a_crash_at_a_later_store(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            MetricsPage(tmp_path / "app1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    MetricsPage(tmp_path / "app1").recorder(63).counter("requests_total").inc()


def test_totals_survive_a_restart_of_the_service(tmp_path):
    MetricsPage(tmp_path / "app1").recorder(0).counter("requests_total").inc(5)
    page = MetricsPage(tmp_path / "app1")
    page.recorder(0).counter("requests_total").inc(2)
    assert total(page, "requests_total") == 7


def test_a_reader_that_was_there_first_sees_series_that_are_made_later(tmp_path):
    reader = MetricsPage(tmp_path / "app1")
    writer = MetricsPage(tmp_path / "app1").recorder(1)
    writer.counter("failures_total").inc()
    assert ("failures_total", "", ()) in reader.series()
    writer.counter("delays_total").inc(2)
    assert total(reader, "delays_total") == 2


def test_a_successor_counts_on_where_its_predecessor_stopped():
    page = MetricsPage(rows=2)
    page.recorder(1).counter("requests_total").inc(3)
    page.recorder(1).counter("requests_total").inc(4)
    assert total(page, "requests_total") == 7


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 64, id="a header that was never written"),
        pytest.param(b"metrics\x00", id="cut in the header"),
        pytest.param(b"something else entirely" * 1000, id="foreign"),
    ],
)
def test_a_file_that_is_no_page_is_replaced(tmp_path, content):
    (tmp_path / "app1").write_bytes(content)
    page = MetricsPage(tmp_path / "app1")
    page.recorder(0).counter("requests_total").inc()
    assert total(MetricsPage(tmp_path / "app1"), "requests_total") == 1


@pytest.mark.parametrize("shape", [{"rows": 8}, {"columns": 512}, {"rows": 128, "columns": 512}])
def test_a_page_of_another_layout_is_replaced_by_an_empty_one(tmp_path, shape):
    MetricsPage(tmp_path / "app1").recorder(0).counter("requests_total").inc(9)
    page = MetricsPage(tmp_path / "app1", **shape)
    assert page.series() == {}
    page.recorder(0).counter("requests_total").inc()
    assert total(MetricsPage(tmp_path / "app1", **shape), "requests_total") == 1


def test_who_still_maps_a_replaced_page_can_go_on_and_disturbs_nobody(tmp_path):
    old = MetricsPage(tmp_path / "app1")
    counter = old.recorder(0).counter("requests_total")
    new = MetricsPage(tmp_path / "app1", rows=4, columns=16)
    new.recorder(0).counter("requests_total").inc()
    for _ in range(100):
        counter.inc()
    old.recorder(63).counter("delays_total").inc()
    assert (total(old, "requests_total"), total(new, "requests_total")) == (100, 1)


def test_a_replacement_that_was_killed_half_way_is_no_obstacle(tmp_path):
    MetricsPage(tmp_path / "app1", rows=2)
    (tmp_path / "app1.new").write_bytes(b"half a pa")
    page = MetricsPage(tmp_path / "app1", rows=4)
    page.recorder(3).counter("requests_total").inc()
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["app1"]


def test_only_the_owner_may_read_the_file(tmp_path):
    MetricsPage(tmp_path / "run" / "app1")
    assert (tmp_path / "run" / "app1").stat().st_mode & 0o777 == 0o600


def test_a_gauge_goes_up_and_down_and_starts_anew_with_the_next_worker():
    page = MetricsPage(rows=1)
    gauge = page.recorder(0).gauge("http_requests_in_flight")
    gauge.inc(3)
    gauge.dec()
    assert gauge.value == 2
    assert page.recorder(0).gauge("http_requests_in_flight").value == 0


def test_asking_for_a_gauge_again_keeps_its_value():
    recorder = MetricsPage(rows=1).recorder(0)
    recorder.gauge("http_requests_in_flight").set(4)
    assert recorder.gauge("http_requests_in_flight").value == 4


@pytest.mark.parametrize("content", [None, b"", b"notes", b"metrics\x00" + b"\x01" * 5000])
def test_who_only_reads_makes_no_page_and_replaces_none(tmp_path: Path, content: bytes | None):
    path = tmp_path / "app2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ForeignFileError):
        MetricsPage(path, replace=False)
    assert (path.read_bytes() if path.exists() else None) == content


def test_who_only_reads_sees_what_the_other_counted(tmp_path: Path):
    counted = MetricsPage(tmp_path / "app2").recorder(0).counter("requests_failed")
    counted.inc()
    page = MetricsPage(tmp_path / "app2", replace=False)
    assert sum(page.values(page.series()[("requests_failed", "", ())])) == 1
