from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.bench.open_loop import arrivals
from tests.bench.paced import Outcome, Plan

PLAN = Plan(port=1, request="", rate=1000.0, seconds=20.0, warmup=1.0, seed=7)
GOOD = Outcome(
    planned=100,
    answered=100,
    errors={},
    marked=0,
    sending_took=1.0,
    mean=0.1,
    latency={},
    late={"p50": 0.00002},
)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (replace(GOOD, errors={"status 500": 3}), "3 × status 500, beside 100 good answers"),
        (replace(GOOD, answered=98), "2 of 100 not answered"),
        (replace(GOOD, sending_took=1.6), "it cannot carry the rate"),
        (replace(GOOD, late={"p50": 0.02}), "the load generator was too slow"),
    ],
)
def test_a_run_that_went_wrong_says_how(outcome: Outcome, words: str):
    problem = outcome.problem()
    assert problem is not None
    assert words in problem


def test_a_run_in_which_all_were_answered_has_no_problem():
    assert GOOD.problem() is None


def test_the_same_seed_makes_the_same_arrivals():
    assert arrivals(PLAN) == arrivals(PLAN)
    assert arrivals(PLAN) != arrivals(replace(PLAN, seed=8))


def test_arrivals_come_at_the_rate_and_as_irregularly_as_people_do():
    """A Poisson process: gaps have the mean 1/rate and a standard deviation of the same size."""
    due = arrivals(PLAN)
    assert len(due) == pytest.approx(PLAN.rate * 21, rel=0.02)
    assert due == sorted(due)
    assert due[-1] < 21
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.001, rel=0.02)
    assert deviation == pytest.approx(0.001, rel=0.05)


def test_even_a_tiny_plan_asks_once():
    assert arrivals(replace(PLAN, rate=0.001, seconds=0.1, warmup=0.0)) == [0.0]
