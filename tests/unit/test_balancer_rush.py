"""Rushes, tick by tick."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.rush import FACTOR, HELD_SECONDS, ROOM, Rush

TICK = 0.1


def told(arrivals: list[int]) -> list[bool]:
    rush = Rush(TICK)
    return [rush.goes_on(arrived, tick * TICK) for tick, arrived in enumerate(arrivals)]


def test_five_times_as_many_requests_are_a_rush_from_the_first_tick():
    assert told([60] * 20 + [300])[-2:] == [False, True]


def test_who_gets_the_requests_of_a_backend_that_failed_is_in_no_rush():
    assert not any(told([60] * 20 + [120] * 20))


def test_a_rush_is_over_a_second_after_the_last_of_it():
    answers = told([60] * 20 + [600] * 3 + [60] * 20)
    assert answers.index(True) == 20
    assert answers.count(True) == pytest.approx(3 + HELD_SECONDS / TICK, abs=2)
    assert not answers[-1]


def test_what_goes_on_becomes_usual():
    assert not told([60] * 20 + [600] * 100)[-1]


def test_the_first_requests_of_all_are_no_rush():
    assert not any(told([0] * 50 + [400] * 20))


def test_who_takes_over_bit_by_bit_is_in_no_rush():
    assert not any(told([0, 3, 20, 50, *[86] * 40]))


def test_a_few_requests_after_silence_are_no_rush():
    assert not any(told([1] + [0] * 200 + [ROOM]))


@given(st.integers(1, 1000), st.floats(0, FACTOR - 1), st.randoms())
def test_what_stays_within_the_factor_is_never_a_rush(usual: int, more: float, dice) -> None:
    spread = [usual, *(int(usual * (1 + more * dice.random() / FACTOR)) for _ in range(100))]
    assert not any(told(spread))
