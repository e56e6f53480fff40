"""The composition held to the table of the design: 100,000 calls in simulated time, seeded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from app.resilience import (
    AttemptError,
    BreakerPolicy,
    CallPolicy,
    HedgePolicy,
    Outcome,
    ResilientCall,
    Source,
    Trace,
)
from tests.simulated_time import now, simulated

HEALTHY_SECONDS = 0.002


@dataclass
class Figures:
    mean: float
    p99: float
    fallbacks: float
    calls: float


def stock(dice: random.Random) -> Callable[[float], Awaitable[str]]:
    """30 % errors, 30 % of the rest 3 s late."""

    async def attempt(seconds: float) -> str:
        if dice.random() < 0.3:
            await asyncio.sleep(0.001)
            raise AttemptError(Outcome.HTTP_ERROR, "HTTP 500")
        await asyncio.sleep(3.0 if dice.random() < 0.3 else HEALTHY_SECONDS)
        return "live"

    return attempt


def figures(policy: CallPolicy, calls: int, seed: int = 7, rate: float = 100.0) -> Figures:
    traces: list[Trace] = []
    dice = random.Random(seed)
    attempt = stock(dice)

    async def story() -> None:
        call = ResilientCall(policy, observe=traces.append, clock=now, dice=dice.random)
        tasks: set[asyncio.Task[object]] = set()
        for _ in range(calls):
            task = asyncio.create_task(call(attempt, lambda: "fallback"))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks)

    simulated(story())
    assert len(traces) == calls
    took = sorted(trace.seconds for trace in traces)
    return Figures(
        mean=sum(took) / calls,
        p99=took[calls * 99 // 100],
        fallbacks=sum(trace.source is Source.FALLBACK for trace in traces) / calls,
        calls=sum(len(trace.attempts) for trace in traces) / calls,
    )


def test_100_000_calls_at_the_stock_rates_are_as_good_as_the_table_of_the_design() -> None:
    found = figures(CallPolicy(), 100_000)
    assert found.mean <= 0.050
    assert found.p99 <= 0.24
    assert found.fallbacks <= 0.015
    assert found.calls <= 2.08
    assert found.calls >= 1.98, "fewer than luck allows: something is not counted"


@pytest.mark.parametrize(
    ("hedges", "fallbacks", "calls"), [(0, 0.31, 1.42), (1, 0.10, 1.84), (2, 0.039, 1.97)]
)
def test_fewer_hedges_cost_what_the_table_says(hedges: int, fallbacks: float, calls: float) -> None:
    policy = CallPolicy(hedge=HedgePolicy(hedges=hedges), breaker=None)
    found = figures(policy, 8_000)
    assert found.fallbacks == pytest.approx(fallbacks, rel=0.25)
    assert found.calls == pytest.approx(calls, rel=0.08)


def test_a_breaker_that_counted_attempts_would_be_no_use_but_ours_does_not_trip() -> None:
    seen: list[Trace] = []
    dice = random.Random(3)

    async def story() -> None:
        call = ResilientCall(
            CallPolicy(breaker=BreakerPolicy()), observe=seen.append, clock=now, dice=dice.random
        )
        attempt = stock(dice)
        for _ in range(5_000):
            await call(attempt, lambda: "fallback")

    simulated(story())
    assert not [trace for trace in seen if not trace.attempts]
