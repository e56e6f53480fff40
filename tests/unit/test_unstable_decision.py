"""Which fault a request meets, with dice that the tests give."""

import random
from collections import Counter
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unstable.decision import CLEAN, decide

STOCK_FAILING = {"failure": 0.3, "hang": 0.0}
STOCK_SLOWING = {"delay": 0.3, "drip": 0.0}
OVERRIDES = st.sampled_from([True, False, None])


def decisions(seed: int, count: int, failing=STOCK_FAILING, slowing=STOCK_SLOWING) -> list[str]:
    dice = random.Random(seed)
    return [decide(failing, slowing, dice) for _ in range(count)]


def within_four_sigma(hits: int, of: int, probability: float) -> bool:
    return abs(hits - of * probability) <= 4 * sqrt(of * probability * (1 - probability))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stock_rates_fail_30_percent_and_delay_30_percent_of_the_rest(seed: int):
    count = 20_000
    seen = Counter(decisions(seed, count))
    assert set(seen) == {"failure", "delay", CLEAN}
    assert within_four_sigma(seen["failure"], count, 0.3)
    assert within_four_sigma(seen["delay"], count - seen["failure"], 0.3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_fault_of_a_group_gets_its_own_share(seed: int):
    failing = {"failure": 0.1, "hang": 0.2, "reset": 0.05, "garbage": 0.25}
    slowing = {"delay": 0.5, "drip": 0.25}
    count = 20_000
    seen = Counter(decisions(seed, count, failing, slowing))
    for kind, rate in failing.items():
        assert within_four_sigma(seen[kind], count, rate)
    rest = count - sum(seen[kind] for kind in failing)
    for kind, rate in slowing.items():
        assert within_four_sigma(seen[kind], rest, rate)


def test_the_two_decisions_of_a_request_do_not_depend_on_each_other():
    seen = decisions(5, 20_000)
    after_failure = [now for before, now in pairwise(seen) if before != CLEAN]
    assert within_four_sigma(after_failure.count("failure"), len(after_failure), 0.3)


@given(seed=st.integers(0), failing_rate=st.floats(0, 1), slowing_rate=st.floats(0, 1))
def test_a_seed_repeats_the_run(seed: int, failing_rate: float, slowing_rate: float):
    rates = {"failure": failing_rate}, {"delay": slowing_rate}
    assert decisions(seed, 50, *rates) == decisions(seed, 50, *rates)


@given(
    seed=st.integers(0, 1000),
    forced=st.lists(st.tuples(OVERRIDES, OVERRIDES), max_size=20),
    other_rates=st.floats(0, 1),
)
def test_neither_forced_requests_nor_other_rates_shift_the_luck_of_later_ones(
    seed, forced, other_rates
):
    calm, stormy = random.Random(seed), random.Random(seed)
    for fail, delay in forced:
        decide(STOCK_FAILING, STOCK_SLOWING, calm)
        decide({"failure": other_rates}, {}, stormy, fail=fail, delay=delay)
    assert [decide(STOCK_FAILING, STOCK_SLOWING, calm) for _ in range(10)] == [
        decide(STOCK_FAILING, STOCK_SLOWING, stormy) for _ in range(10)
    ]


@given(seed=st.integers(0))
def test_rate_0_never_happens_and_rate_1_always(seed: int):
    dice = random.Random(seed)
    assert decide({"failure": 0.0}, {"delay": 0.0}, dice) == CLEAN
    assert decide({"failure": 1.0}, {"delay": 1.0}, dice) == "failure"
    assert decide({"failure": 0.0, "hang": 1.0}, {}, dice) == "hang"
    assert decide({"failure": 0.0}, {"delay": 1.0}, dice) == "delay"


@given(seed=st.integers(0), rates=st.sampled_from([0.0, 0.3, 1.0]))
def test_a_forced_request_gets_what_it_asked_for_at_any_rate(seed: int, rates: float):
    failing, slowing, dice = {"hang": rates}, {"drip": rates}, random.Random(seed)
    assert decide(failing, slowing, dice, fail=True) == "failure"
    assert decide(failing, slowing, dice, fail=True, delay=True) == "failure"
    assert decide(failing, slowing, dice, fail=False, delay=True) == "delay"
    assert decide(failing, slowing, dice, fail=False, delay=False) == CLEAN


@given(seed=st.integers(0))
def test_each_override_leaves_the_other_decision_to_the_dice(seed: int):
    dice = random.Random(seed)
    assert decide({"reset": 1.0}, {}, dice, delay=True) == "reset"
    assert decide({"reset": 1.0}, {}, dice, delay=False) == "reset"
    assert decide({"reset": 1.0}, {"drip": 1.0}, dice, fail=False) == "drip"
    assert decide({"reset": 0.0}, {"drip": 1.0}, dice, delay=False) == CLEAN
