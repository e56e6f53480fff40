"""Budget, hedge delay, latency estimate, concurrency limit: numbers in, decisions out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.resilience import Board, BudgetPolicy, HedgePolicy, Limit, LimitPolicy
from app.resilience.board import BAD, CALLS, FIRST_ROW, GOOD, ROW_WORDS, WORDS
from app.resilience.latency import BOUNDS, bucket, quantile


def test_without_calls_the_budget_is_ten_a_second_and_with_them_half_as_much_again_on_top() -> None:
    policy = BudgetPolicy()
    assert policy.allows(0, 99)
    assert not policy.allows(0, 100)
    assert policy.allows(1000, 1599)
    assert not policy.allows(1000, 1600)
    assert BudgetPolicy(enabled=False).allows(0, 10**9)


def test_what_other_workers_spent_is_counted_and_forgotten_after_the_window() -> None:
    memory = memoryview(bytearray(WORDS * 8))
    one, other = Board(memory, 0), Board(memory, 1)
    for row in (0, 1):
        memory.cast("d")[FIRST_ROW + row * ROW_WORDS] = 1.0  # its owner
    for _ in range(7):
        one.count(CALLS, 100.0)
        other.note_extra(100.5)
    assert one.spent(10.0, 101.0) == (7, 7)
    assert other.spent(10.0, 101.0) == (7, 7)
    assert one.spent(10.0, 111.9) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from([GOOD, BAD]), st.floats(0, 3)), max_size=60))
def test_counts_are_those_of_the_last_seconds(steps: list[tuple[int, float]]) -> None:
    board, now, made = Board(), 50.0, []
    for what, pause in steps:
        now += pause
        board.count(what, now)
        made.append((what, int(now)))
    good, bad = board.counted(GOOD, BAD, 10.0, now)
    recent = [what for what, second in made if second > now - 10]
    assert (good, bad) == (recent.count(GOOD), recent.count(BAD))


def test_the_hedge_delay_is_three_times_the_p95_within_its_bounds() -> None:
    policy = HedgePolicy()
    assert policy.delay(None) == 0.1
    assert policy.delay(0.001) == 0.02
    assert policy.delay(0.05) == pytest.approx(0.15)
    assert policy.delay(2.0) == 0.25


@given(st.lists(st.floats(0.0011, 2.0), min_size=20, max_size=300))
def test_the_estimate_of_the_p95_is_at_most_a_fifth_too_high(samples: list[float]) -> None:
    board = Board()
    for seconds in samples:
        board.took(seconds, 7.0)
    exact = sorted(samples)[max(0, -(-len(samples) * 95 // 100) - 1)]
    found = board.p95(7.5)
    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.201


def test_the_p95_falls_soon_after_a_slow_time_and_rises_only_with_the_minute() -> None:
    board = Board()
    for second in range(60):
        slow = 20 <= second < 30
        for _ in range(100):
            board.took(0.5 if slow else 0.01, float(second))
    assert board.p95(29.9) == pytest.approx(0.5, rel=0.2)
    assert board.p95(59.0) == pytest.approx(0.01, rel=0.2)


def test_no_p95_is_told_from_a_few_answers_nor_from_those_of_long_ago() -> None:
    board = Board()
    for _ in range(19):
        board.took(0.1, 5.0)
    assert board.p95(5.0) is None
    board.took(0.1, 6.0)
    assert board.p95(7.0) == pytest.approx(0.1, rel=0.2)
    assert board.p95(80.0) is None
    assert quantile([0.0] * (len(BOUNDS) + 1), 0.95) is None
    assert bucket(1e9) == len(BOUNDS)


def test_the_limit_grows_by_use_and_shrinks_when_work_takes_too_long() -> None:
    limit = Limit(LimitPolicy(slow=0.2, least=4, most=64))
    start = limit.limit
    now = 0.0
    for _ in range(400):
        now += 0.01
        while limit.try_begin():
            pass
        limit.end(0.01, now)
    assert limit.limit > start
    for _ in range(400):
        now += 0.01
        limit.try_begin()
        limit.end(1.0, now)
    assert 4 <= limit.limit < start


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=200))
def test_the_limit_stays_within_its_bounds_and_counts_what_it_admitted(
    steps: list[tuple[bool, float]],
) -> None:
    limit, working, now = Limit(LimitPolicy(least=2, most=16)), 0, 0.0
    for begin, seconds in steps:
        now += 0.05
        if begin:
            working += limit.try_begin()
        elif working:
            limit.end(seconds if random.Random(seconds).random() < 0.9 else None, now)
            working -= 1
        assert limit.working == working
        assert 2 <= limit.limit <= 16


def test_a_limit_of_zero_refuses_nobody() -> None:
    limit = Limit(LimitPolicy(most=0))
    assert all(limit.try_begin() for _ in range(5000))
