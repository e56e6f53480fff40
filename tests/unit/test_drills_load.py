"""When requests are due, what is asked, and how fast: decided without a clock."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.drills.calibrate import LOWEST, rate_for
from tests.drills.pacing import FRESH, READS, Mix, due_at


@given(rate=st.floats(1, 10_000), number=st.integers(0, 1_000_000))
def test_requests_are_due_at_a_fixed_rate_whatever_became_of_earlier_ones(rate: float, number: int):
    gap = due_at(100.0, rate, number + 1) - due_at(100.0, rate, number)
    assert abs(gap - 1 / rate) < 1e-6


def test_the_same_seed_asks_the_same():
    def asked(seed: int) -> list[object]:
        mix = Mix(random.Random(seed), [(1, "a"), (2, "b")])
        return [mix.next() for _ in range(100)]

    assert asked(3) == asked(3)
    assert asked(3) != asked(4)


def test_before_anything_is_acknowledged_nothing_is_read():
    mix = Mix(random.Random(1))
    assert all(mix.next().record is None for _ in range(100))


def test_reads_and_fresh_connections_have_their_share():
    mix = Mix(random.Random(1), [(1, "a")])
    asked = [mix.next() for _ in range(10_000)]
    assert abs(sum(a.record is not None for a in asked) / 10_000 - READS) < 0.02
    assert abs(sum(a.fresh for a in asked) / 10_000 - FRESH) < 0.02


@given(st.floats(0.1, 1e6))
def test_the_load_is_a_third_of_what_the_machine_can_do_and_enough_to_judge(found: float):
    rate = rate_for(found)
    assert rate >= LOWEST
    assert rate == LOWEST or abs(rate - found / 3) <= 5.01
