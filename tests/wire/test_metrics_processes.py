"""Several processes count into one page while some of them are killed."""

import mmap
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from monitoring.exposition import render
from monitoring.page import MetricsPage
from tests.exposition_text import parse, sample

fork = multiprocessing.get_context("fork")
LABELS = {"method": "GET", "route": "/"}


def start(target: Callable[..., None], *arguments: object) -> BaseProcess:
    process = fork.Process(target=target, args=arguments)
    process.start()
    return process


def count_for_ever(page: MetricsPage, row: int, notes: memoryview) -> None:
    """Count, and note each one *after* it was counted."""
    recorder = page.recorder(row)
    requests = recorder.counter("requests_total")
    durations = recorder.histogram("http_request_duration_seconds", **LABELS)
    in_flight = recorder.gauge("http_requests_in_flight")
    in_flight.set(1)
    while True:
        requests.inc()
        durations.observe(0.003)
        notes[row] += 1


def wait_for(condition, *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.005)


def test_nothing_counted_is_lost_when_workers_are_killed_and_replaced(tmp_path: Path):
    page = MetricsPage(tmp_path / "app1")
    notes = memoryview(mmap.mmap(-1, page.rows * 8)).cast("q")
    rows = (0, 1, 63)
    workers = {row: start(count_for_ever, page, row, notes) for row in rows}
    kills = 0
    for _round in range(5):
        for row in rows:
            noted = notes[row]
            wait_for(lambda row=row, noted=noted: notes[row] > noted + 100)
            workers[row].kill()
            workers[row].join()
            kills += 1
            workers[row] = start(count_for_ever, page, row, notes)
    for worker in workers.values():
        worker.kill()
        worker.join()
    kills += len(workers)
    values = parse(render([page]))
    noted = sum(notes)
    # A worker killed between counting and noting has counted one more than it noted.
    assert noted <= values[sample("http_request_duration_seconds_count", **LABELS)]
    assert values[sample("http_request_duration_seconds_count", **LABELS)] <= noted + kills
    assert noted <= values[sample("requests_total")] <= noted + kills


def test_the_gauges_of_a_killed_worker_are_gone_and_its_counters_stay(tmp_path: Path):
    page = MetricsPage(tmp_path / "app1")
    notes = memoryview(mmap.mmap(-1, page.rows * 8)).cast("q")
    workers = [start(count_for_ever, page, row, notes) for row in (0, 1)]
    wait_for(lambda: min(notes[:2]) > 0)
    assert parse(render([page]))[sample("http_requests_in_flight")] == 2
    workers[0].kill()
    workers[0].join()
    assert parse(render([page]))[sample("http_requests_in_flight")] == 1
    workers[1].kill()
    workers[1].join()
    values = parse(render([page]))
    assert sample("http_requests_in_flight") not in values
    assert values[sample("requests_total")] >= sum(notes)


def claim(page: MetricsPage) -> None:
    page.recorder(0).gauge("http_requests_in_flight").set(7)


def test_a_pid_that_was_given_to_another_process_does_not_revive_old_gauges(tmp_path: Path):
    page = MetricsPage(tmp_path / "app1")
    dead = start(claim, page)
    dead.join()
    page._owners[0] = 1  # alive, not ours, and perhaps not ours to signal
    assert parse(render([page])) == {}


def make_series(path: Path, order: int, barrier) -> None:
    recorder = MetricsPage(path).recorder(order)
    barrier.wait()
    for step in range(100):
        number = (step + order * 25) % 100
        recorder.counter("balancer_retries_total", reason=f"r{number}").inc(number + 1)


def test_series_first_used_by_several_processes_at_once_never_collide(tmp_path: Path):
    path = tmp_path / "balancer"
    barrier = fork.Barrier(4)
    makers = [start(make_series, path, order, barrier) for order in range(4)]
    for maker in makers:
        maker.join()
        assert maker.exitcode == 0
    page = MetricsPage(path)
    assert sorted(page.series().values()) == list(range(100))
    assert parse(render([page])) == {
        sample("balancer_retries_total", reason=f"r{number}"): 4 * (number + 1)
        for number in range(100)
    }


def make_series_for_ever(path: Path, row: int) -> None:
    recorder = MetricsPage(path, rows=2, columns=20_000).recorder(row)
    number = 0
    while True:
        recorder.counter("balancer_retries_total", reason=f"{row}-{number}").inc()
        number += 1


@pytest.mark.parametrize("attempt", range(5))
def test_a_worker_killed_while_it_makes_series_leaves_a_page_that_others_can_go_on_with(
    tmp_path: Path, attempt: int
):
    path = tmp_path / "balancer"
    page = MetricsPage(path, rows=2, columns=20_000)
    victim = start(make_series_for_ever, path, 0)
    wait_for(lambda: len(page.series()) > 50 + attempt)
    victim.kill()
    victim.join()
    survivor = page.recorder(1).counter("failures_total")  # the lock is free again
    survivor.inc()
    reopened = MetricsPage(path, rows=2, columns=20_000)
    assert reopened.series() == page.series()
    values = parse(render([reopened]))
    assert values[sample("failures_total")] == 1
    made = [value for (name, _), value in values.items() if name == "balancer_retries_total"]
    assert sum(made) >= len(made) - 1  # the last one may have been made and not yet counted


def count_once(path: Path, row: int, barrier) -> None:
    barrier.wait()
    MetricsPage(path).recorder(row).counter("requests_total").inc()


def test_processes_that_replace_an_old_page_at_once_end_up_with_the_same_one(tmp_path: Path):
    for number in range(10):
        path = tmp_path / f"app{number}"
        MetricsPage(path, columns=16)
        barrier = fork.Barrier(4)
        openers = [start(count_once, path, row, barrier) for row in range(4)]
        for opener in openers:
            opener.join()
            assert opener.exitcode == 0
        assert parse(render([MetricsPage(path)])) == {sample("requests_total"): 4}
