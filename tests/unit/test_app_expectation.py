"""The arithmetic of `explain` agrees with the simulation of the same policy."""

from __future__ import annotations

from collections import Counter

import pytest

from app.explain_command import advice, rates
from app.resilience import BudgetPolicy, CallPolicy, HedgePolicy, RetryPolicy
from app.resilience.expectation import Rates, expect
from tests.unit.test_app_simulation import figures

STOCK = Rates(0.49, 0.30, 0.21)


@pytest.mark.parametrize(("retries", "hedges"), [(3, 4), (3, 1), (1, 2), (0, 0)])
def test_what_is_calculated_is_what_is_simulated(retries: int, hedges: int) -> None:
    policy = CallPolicy(retry=RetryPolicy(retries), hedge=HedgePolicy(hedges=hedges), breaker=None)
    seen = figures(policy, 6_000)
    told = expect(policy, STOCK, 0.020)
    assert told.fallbacks == pytest.approx(seen.fallbacks, rel=0.2, abs=0.003)
    assert told.attempts == pytest.approx(seen.calls, rel=0.03)
    assert told.mean == pytest.approx(seen.mean, rel=0.2, abs=0.005)


def test_shares_of_a_healthy_service_are_as_they_must_be() -> None:
    told = expect(CallPolicy(), Rates(1.0, 0.0, 0.0), 0.02)
    assert (told.fallbacks, told.attempts, told.false_trip) == (0.0, 1.0, 0.0)
    assert told.p99 == pytest.approx(0.002)


def test_a_dead_service_costs_the_retries_and_then_at_most_two_probes_a_second() -> None:
    told = expect(CallPolicy(), Rates(0.0, 1.0, 0.0), 0.02)
    assert told.fallbacks == pytest.approx(1.0)
    assert told.attempts == pytest.approx(4.0)
    assert told.probes_a_second <= 2.0
    assert told.probe_attempts_a_second <= 3 * told.probes_a_second


def test_it_names_the_setting_that_helps_most() -> None:
    without = CallPolicy(hedge=HedgePolicy(hedges=0))
    assert "APP_UPSTREAM_HEDGES=1" in advice(without, STOCK, 0.02)[0]
    poor = CallPolicy(budget=BudgetPolicy(ratio=0.2))
    assert "APP_UPSTREAM_BUDGET_RATIO=1.0" in advice(poor, STOCK, 0.02)[0]
    assert advice(CallPolicy(), Rates(1.0, 0.0, 0.0), 0.02) == []


def test_rates_come_from_the_counters_and_not_from_a_handful() -> None:
    counts = Counter({f"external_requests_total {k}": v for k, v in [
        ("ok", 490), ("http_error", 300), ("overtaken", 200), ("timeout", 10), ("cancelled", 999),
    ]})  # fmt: skip
    found = rates(counts, 0.002)
    assert found is not None
    assert (found.ok, found.failed, found.silent) == (0.49, 0.30, 0.21)
    assert rates(Counter({"external_requests_total ok": 99}), 0.002) is None
