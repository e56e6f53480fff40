"""What the answers of a drill come to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drill_answers import answer, failed, read, refused, steady
from tests.drills.answers import Answer
from tests.drills.measure import (
    baseline,
    between,
    is_good,
    live_again,
    percentile,
    recovered_at,
    seconds,
    share_live,
    share_stored,
    times,
    worst_second,
)

BEFORE = baseline(steady(0, 5))
LATENCIES = st.lists(st.floats(0, 100), min_size=1, max_size=200)


def test_a_percentile_of_nothing_is_nothing():
    assert percentile([], 0.99) is None


@given(LATENCIES, st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_enough_of_the_values_do_not_exceed(
    values: list[float], share: float
):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < math.ceil(share * len(values))


def test_a_refused_connection_does_not_make_answers_look_fast():
    slow = [answer(n / 10, latency=1.0) for n in range(10)]
    quick = [failed(n / 10, "connect", latency=0.001) for n in range(90)]
    assert times([*slow, *quick]).p50 == 1.0


def test_a_time_out_counts_with_the_time_somebody_waited():
    assert times([failed(0.0, "timeout", latency=10.0), answer(0.1)]).p99 == 10.0


@given(st.lists(st.floats(0, 9.99), max_size=100))
def test_every_answer_is_in_exactly_one_second(dues: list[float]):
    answers = [answer(due) for due in dues]
    found = seconds(answers, 0.0, 10.0)
    assert [second.at for second in found] == list(range(10))
    assert sum(second.requests for second in found) == len(dues)


def test_a_second_without_requests_is_shown_as_empty():
    found = seconds([answer(0.5), answer(2.5)], 0.0, 3.0)
    assert [second.requests for second in found] == [1, 0, 1]


def test_the_worst_second_is_the_one_with_most_failures_then_the_slowest():
    calm = steady(0, 1)
    slow = steady(1, 2, latency=3.0)
    bad = [failed(2.1), refused(2.2), answer(2.3)]
    found = worst_second(seconds([*calm, *slow, *bad], 0.0, 3.0))
    assert found is not None
    assert (found.at, found.failed) == (2, 2)
    found = worst_second(seconds([*calm, *slow], 0.0, 3.0))
    assert found is not None
    assert found.at == 1


def test_without_any_request_there_is_no_worst_second():
    assert worst_second(seconds([], 0.0, 3.0)) is None


def test_shares_count_answers_to_the_front_page_only():
    answers = [
        answer(0.0),
        answer(0.1, source="fallback", stored="false", id=None),
        read(0.2),
        failed(0.3),
    ]
    assert share_live(answers) == 0.5
    assert share_stored(answers) == 0.5
    assert share_live([]) == share_stored([]) == 0.0


@pytest.mark.parametrize(
    "spoilt",
    [
        [failed(10.1)],
        [refused(10.1)],
        [read(10.1, outcome="missing", status=404)],
        [],
    ],
)
def test_nothing_or_one_failure_is_not_good(spoilt: list[Answer]):
    assert not is_good([*spoilt, *(steady(10, 10.5) if spoilt else [])], BEFORE)


def test_answers_that_are_slow_or_fallbacks_or_not_stored_are_not_good():
    assert is_good(steady(10, 10.5), BEFORE)
    assert not is_good(steady(10, 10.5, latency=0.5), BEFORE)
    assert not is_good([answer(10.0, source="fallback")] * 20, BEFORE)
    assert not is_good([answer(10.0, stored="false", id=None)] * 20, BEFORE)


def test_the_stock_share_of_fallbacks_is_still_good():
    some = [answer(10 + n / 20, source="fallback" if n % 4 == 0 else "live") for n in range(10)]
    assert is_good(some, BEFORE)


def test_recovery_begins_with_the_first_good_bucket_of_enough_in_a_row():
    answers = [*steady(10, 20), failed(10.2), failed(12.7)]
    assert recovered_at(answers, 10.0, 20.0, BEFORE, need=2.0) == 10.5
    assert recovered_at(answers, 10.0, 20.0, BEFORE, need=3.0) == 13.0


def test_what_never_failed_has_recovered_at_once():
    assert recovered_at(steady(10, 14), 10.0, 14.0, BEFORE, need=3.0) == 10.0


def test_requests_still_on_their_way_keep_a_recovery_from_being_declared():
    answers = steady(10, 14)
    assert recovered_at(answers, 10.0, 12.9, BEFORE, need=3.0) is None
    assert recovered_at(answers, 10.0, 13.0, BEFORE, need=3.0) == 10.0


def test_without_requests_nothing_has_recovered():
    assert recovered_at([], 10.0, 20.0, BEFORE, need=1.0) is None


@given(
    bad=st.lists(st.floats(0, 9.9), max_size=8),
    need=st.sampled_from([0.5, 1.0, 2.0, 3.0]),
)
def test_after_a_recovery_there_is_no_failure_for_as_long_as_was_needed(
    bad: list[float], need: float
):
    answers = [*steady(0, 10), *(failed(due) for due in bad)]
    found = recovered_at(answers, 0.0, 10.0, BEFORE, need)
    if found is not None:
        assert all(a.ok for a in between(answers, found, found + need))


def test_real_data_is_back_when_the_share_of_live_answers_is_not_when_one_is():
    gone = [answer(n / 40, source="fallback") for n in range(400, 480)]
    one = [answer(10.5, source="live")]
    back = steady(12, 14)
    found = live_again([*gone, *one, *back], 10.0, BEFORE)
    assert found == pytest.approx(2.0, abs=0.15)


def test_real_data_that_does_not_come_back_is_never_back():
    gone = [answer(n / 40, source="fallback") for n in range(400, 480)]
    assert live_again(gone, 10.0, BEFORE) is None
    assert live_again([], 10.0, BEFORE) is None
