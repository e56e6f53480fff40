"""The adaptive limit against a simulated backend, with a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.concurrency import (
    BEGIN,
    LEAST,
    PATIENCE_SECONDS,
    TARGET_SECONDS,
    ConcurrencyLimit,
    LoadReport,
    load_report,
)

MOST = 1024
TICK = 0.1
PATIENT_TICKS = int(PATIENCE_SECONDS / TICK)
STEPS = 20  # of the simulation, in a tick


class Backend:
    """Answers `capacity` requests a second, each after `waiting` seconds at a dependency that
    needs no CPU. What is over the limit is refused."""

    def __init__(self, capacity: float, waiting: float = 0.0) -> None:
        self.tells = True
        self.capacity = capacity
        self.waiting = waiting
        self.limit = ConcurrencyLimit(MOST)
        self.queue = self.at_dependency = 0.0
        self.told = 0.0
        self.refused = 0.0
        self.now = 0.0

    @property
    def in_flight(self) -> float:
        return self.queue + self.at_dependency

    def tick(self, rate: float) -> None:
        for _ in range(STEPS):
            self._step(rate, TICK / STEPS)
        self.limit.adjust(int(self.in_flight), self.now)

    def _step(self, rate: float, seconds: float) -> None:
        self.now += seconds
        done = min(self.queue, self.capacity * seconds)
        self.queue -= done
        if self.waiting:
            self.at_dependency += done - self.at_dependency * seconds / self.waiting
        taken = min(rate * seconds, max(0.0, self.limit.limit - self.in_flight))
        self.refused += rate * seconds - taken
        self.queue += taken
        # What an answer tells is an average over the last moments.
        self.told += 0.1 * (self.queue / self.capacity - self.told)
        if done and self.tells:
            report = LoadReport(0.0, self.waiting)
            self.limit.reported(report, self.now - self.told - self.waiting, self.now)


@given(capacity=st.floats(200, 20_000), times=st.floats(1.5, 10))
def test_an_overloaded_backend_gets_what_it_can_do_and_no_long_queue(capacity, times):
    backend = Backend(capacity)
    for _ in range(PATIENT_TICKS + 50):  # what was taken in before the limit fell is worked off
        backend.tick(capacity * times)
    waits = []
    for _ in range(100):
        backend.tick(capacity * times)
        waits.append(backend.queue / capacity)
    assert sum(waits) / len(waits) < 2 * TARGET_SECONDS
    assert backend.limit.limit >= LEAST


def test_a_moment_above_the_target_refuses_nobody():
    limit = ConcurrencyLimit(MOST)
    for now in (0.0, 0.3, 0.6, PATIENCE_SECONDS / 2, PATIENCE_SECONDS - 0.01):
        limit.reported(LoadReport(1.0), now - 0.1, now)
        assert limit.adjust(30, now) == BEGIN
    now = PATIENCE_SECONDS
    limit.reported(LoadReport(0.0), now, now)
    assert limit.adjust(30, now) == BEGIN


def overloaded(seconds: float, *, sent_before: float = 0.1) -> ConcurrencyLimit:
    """One that was told of long queues since 0.0, until then; a look before the first cut."""
    limit = ConcurrencyLimit(MOST)
    for tick in range(round(seconds * 10)):
        limit.reported(LoadReport(1.0), tick / 10 - sent_before, tick / 10)
        limit.adjust(100, tick / 10)
    return limit


def test_a_moment_without_answers_ends_no_overload():
    limit = overloaded(0.6)
    before = limit.limit
    after = PATIENCE_SECONDS + 0.4
    for tick in range(6, round(after * 10)):
        assert limit.adjust(100, tick / 10) == before
    limit.reported(LoadReport(1.0), after - 0.4, after)
    assert limit.adjust(100, after) < 100


def test_what_was_sent_before_a_cut_does_not_ask_for_the_next_one():
    limit = overloaded(PATIENCE_SECONDS + 0.5, sent_before=0.6)
    cut = limit.limit
    assert cut < 100
    now = PATIENCE_SECONDS + 0.5
    limit.reported(LoadReport(1.0), now - 0.5, now)
    assert limit.adjust(100, now) == cut
    limit.reported(LoadReport(1.0), now, now + 0.1)
    assert limit.adjust(cut, now + 0.1) < cut


def test_it_grows_only_as_fast_as_that_is_felt():
    limit = ConcurrencyLimit(MOST)
    limit.reported(LoadReport(0.0), 0.0, 0.0)
    limit.adjust(0, 0.0)
    limits = []
    for tick in range(1, 20):
        limit.reported(LoadReport(0.0), tick / 10, tick / 10)
        limits.append(limit.adjust(limit.limit, tick / 10))
    assert sorted(set(limits)) == [BEGIN, 2 * BEGIN, 4 * BEGIN, 8 * BEGIN, MOST]
    assert min(limits.count(BEGIN << step) for step in (1, 2, 3)) >= 2


def test_in_a_rush_it_does_not_grow_and_the_first_cut_comes_at_once():
    limit = ConcurrencyLimit(MOST)
    limit.reported(LoadReport(0.0), 0.0, 0.0)
    limit.adjust(0, 0.0)
    for tick in range(1, 20):
        limit.reported(LoadReport(0.0), tick / 10, tick / 10)
        assert limit.adjust(BEGIN, tick / 10, rush=True) == BEGIN
    limit.reported(LoadReport(1.0), 1.95, 2.0)
    assert limit.adjust(BEGIN, 2.0, rush=True) < BEGIN


def test_who_stands_for_others_has_their_room_at_once_and_only_as_long_as_they_are_away():
    limit = ConcurrencyLimit(MOST)
    told = []
    for tick, stands_for in enumerate((1.0, 1.0, 2.0, *[1.0] * 20)):
        limit.reported(LoadReport(0.0), tick / 10, tick / 10)
        told.append(limit.adjust(0, tick / 10, stands_for=stands_for))
    assert told[1:3] == [BEGIN, 2 * BEGIN]
    assert told[-1] == BEGIN


def test_who_has_too_much_to_do_gets_no_more_because_others_are_away():
    limit = overloaded(PATIENCE_SECONDS + 0.5)
    low = limit.limit
    now = PATIENCE_SECONDS + 0.6
    limit.reported(LoadReport(1.0), now, now)
    assert limit.adjust(low, now, stands_for=2.0) <= low


def test_a_slow_dependency_is_no_overload():
    backend = Backend(capacity=2000, waiting=1.0)
    for _ in range(100):
        backend.tick(500)
    assert backend.refused == 0
    assert backend.in_flight > 300


def test_a_dependency_that_becomes_slow_fills_the_limit_and_nobody_is_refused():
    backend = Backend(capacity=2000)
    for _ in range(50):
        backend.tick(400)
    assert backend.limit.limit == BEGIN
    backend.waiting = 1.5
    for _ in range(50):
        backend.tick(400)
    assert backend.refused == 0
    backend.waiting, backend.at_dependency = 0.0, 0.0
    for _ in range(50):
        backend.tick(400)
    assert backend.limit.limit == BEGIN


def test_a_flood_finds_no_more_room_than_there_was_need_for():
    backend = Backend(capacity=1000)
    for _ in range(50):
        backend.tick(300)
    most = 0.0
    for _ in range(50):
        backend.tick(5000)
        most = max(most, backend.queue)
    assert most <= 2 * BEGIN


def test_after_an_overload_the_limit_is_back_within_seconds():
    backend = Backend(capacity=100)
    for _ in range(PATIENT_TICKS + 20):
        backend.tick(1000)
    low = backend.limit.limit
    for _ in range(150):
        backend.tick(30)
    assert low < BEGIN / 2
    assert backend.limit.limit == BEGIN


def test_a_backend_is_strained_while_it_has_more_than_it_can_do_and_not_before_or_after():
    backend = Backend(capacity=100)
    strained = []
    for rate, ticks in ((30, 1), (1000, 50), (30, 150)):
        for _ in range(ticks):
            backend.tick(rate)
        strained.append(backend.limit.strained(int(backend.in_flight), backend.now))
    assert strained == [False, True, False]


def test_a_late_event_loop_is_told_where_nothing_else_is():
    assert overloaded(PATIENCE_SECONDS + 0.5).limit < 100


def test_a_backend_that_says_nothing_keeps_its_limit():
    limit = ConcurrencyLimit(100)
    assert [limit.adjust(100, tick / 10) for tick in range(50)] == [100] * 50


@given(
    st.lists(st.tuples(st.floats(0, 3600), st.integers(0, 5000)), max_size=50), st.integers(1, 2000)
)
def test_the_limit_is_never_below_the_least_nor_above_the_most(reports, most):
    limit = ConcurrencyLimit(most)
    for now, (seconds, in_flight) in enumerate(reports):
        limit.reported(LoadReport(seconds, 0.0), now - seconds, now)
        assert min(LEAST, most) <= limit.adjust(in_flight, now) <= most


@pytest.mark.parametrize(
    ("value", "queue", "service"),
    [
        (b"TEXT named_metrics.queue_seconds=0.012", 0.012, None),
        (b"TEXT cpu_utilization=0.3, named_metrics.queue_seconds=1", 1.0, None),
        (b"TEXT named_metrics.queue_seconds=1,named_metrics.service_seconds=2", 1.0, 2.0),
        (b"TEXT named_metrics.queue_seconds=1,named_metrics.service_seconds=-2", 1.0, None),
        (b"TEXT named_metrics.service_seconds=2,named_metrics.queue_seconds=1", 1.0, 2.0),
    ],
)
def test_a_report_is_read(value: bytes, queue: float, service: float | None):
    assert load_report(value) == LoadReport(queue, service)


@pytest.mark.parametrize(
    "value",
    [
        b"TEXT cpu_utilization=0.3",
        b"TEXT named_metrics.service_seconds=2",
        b"TEXT named_metrics.queue_seconds=",
        b"TEXT named_metrics.queue_seconds=nan",
        b"TEXT named_metrics.queue_seconds=-1",
        b"TEXT named_metrics.queue_seconds=1e9",
        b'JSON {"named_metrics": {}}',
        b"",
    ],
)
def test_only_a_number_of_seconds_is_taken_from_a_report(value: bytes):
    assert load_report(value) is None


@given(st.binary(max_size=80))
def test_no_report_breaks_the_reading_of_an_answer(value: bytes):
    report = load_report(value)
    assert report is None or 0 <= report.queue_seconds < 3600
