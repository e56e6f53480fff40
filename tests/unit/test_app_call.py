"""The composition of the policies, in simulated time: no test here waits."""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from app.resilience import (
    Answer,
    AttemptError,
    CallPolicy,
    FallbackReason,
    Outcome,
    ResilientCall,
    Result,
    RetryPolicy,
    Source,
    Trace,
    Verdict,
)

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Instead of waiting for the next timer, moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing left to wait for"
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def simulated(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    return asyncio.get_running_loop().time()


class Calls:
    """A resilient call whose traces are kept."""

    def __init__(self, policy: CallPolicy | None = None, seed: int = 1) -> None:
        self.traces: list[Trace] = []
        self.call = ResilientCall(
            policy or CallPolicy(),
            observe=self.traces.append,
            clock=now,
            dice=random.Random(seed).random,
        )

    async def __call__(
        self, attempt: Callable[[float], Awaitable[str]], remainder: float | None = None
    ) -> Answer[str]:
        return await self.call(attempt, lambda: "fallback", remainder)


def failing(*errors: Exception | None) -> Callable[[float], Awaitable[str]]:
    """An attempt that raises each error in turn, then answers; the last one is repeated."""
    left = list(errors)

    async def attempt(seconds: float) -> str:
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is not None:
            raise error
        return "live"

    return attempt


async def hang(seconds: float) -> str:
    await asyncio.sleep(3600)
    return "too late"


ERROR = AttemptError(Outcome.HTTP_ERROR, "500")


def test_a_service_that_always_fails_is_asked_four_times_and_the_fallback_is_given() -> None:
    calls = Calls()
    answer = simulated(calls(failing(ERROR)))
    assert answer.value == "fallback"
    assert answer.source is Source.FALLBACK
    assert answer.trace.reason is FallbackReason.RETRIES_EXHAUSTED
    assert [attempt.outcome for attempt in answer.trace.attempts] == [Outcome.HTTP_ERROR] * 4
    assert answer.trace.retried == [Outcome.HTTP_ERROR] * 3


def test_what_cannot_be_mended_by_asking_again_is_asked_once() -> None:
    answer = simulated(Calls()(failing(AttemptError(Outcome.HTTP_ERROR, "404", retryable=False))))
    assert answer.source is Source.FALLBACK
    assert answer.trace.reason is FallbackReason.NOT_RETRYABLE
    assert len(answer.trace.attempts) == 1


def test_a_hanging_service_costs_four_timeouts_and_the_waits_and_no_more() -> None:
    async def story() -> tuple[Answer[str], float]:
        return await Calls()(hang), now()

    answer, took = simulated(story())
    assert answer.value == "fallback"
    assert [attempt.outcome for attempt in answer.trace.attempts] == [Outcome.TIMEOUT] * 4
    assert all(
        attempt.seconds == pytest.approx(0.25, abs=0.01) for attempt in answer.trace.attempts
    )
    assert 1.0 <= took <= 1.0 + 0.025 + 0.05 + 0.1 + 0.05


def test_a_call_never_outlives_its_deadline() -> None:
    async def story(seed: int, deadline: float, retry_after: float) -> float:
        busy = AttemptError(Outcome.HTTP_ERROR, "503", retry_after=retry_after)
        policy = CallPolicy(deadline=deadline, attempt_timeout=0.3, retry=RetryPolicy(retries=50))
        order = itertools.cycle([hang, failing(busy), failing(ERROR)])

        async def attempt(seconds: float) -> str:
            return await next(order)(seconds)

        await Calls(policy, seed)(attempt)
        return now() - deadline

    for seed, deadline, retry_after in itertools.product(range(20), (0.02, 0.5, 2.0), (0.0, 0.7)):
        assert simulated(story(seed, deadline, retry_after)) <= 0.005


def test_the_callers_remainder_shortens_the_deadline_and_every_attempt_learns_what_is_left() -> (
    None
):
    told: list[tuple[float, float]] = []

    async def attempt(seconds: float) -> str:
        told.append((now(), seconds))
        await asyncio.sleep(0.2)
        raise ERROR

    async def story() -> float:
        await Calls()(attempt, remainder=0.5)
        return now()

    took = simulated(story())
    assert took <= 0.5
    assert len(told) >= 2
    for at, seconds in told:
        assert seconds == pytest.approx(min(0.25, 0.5 - at))
    assert told[-1][1] < 0.25


def test_a_caller_without_time_gets_the_fallback_and_nobody_is_asked() -> None:
    answer = simulated(Calls()(failing(None), remainder=0.0))
    assert answer.source is Source.FALLBACK
    assert answer.trace.reason is FallbackReason.DEADLINE
    assert answer.trace.attempts == []


def test_a_retry_after_beyond_the_deadline_ends_the_call_at_once() -> None:
    async def story() -> tuple[Answer[str], float]:
        busy = AttemptError(Outcome.HTTP_ERROR, "503", retry_after=30.0)
        return await Calls()(failing(busy)), now()

    answer, took = simulated(story())
    assert answer.trace.reason is FallbackReason.DEADLINE
    assert len(answer.trace.attempts) == 1
    assert took < 0.01


def test_a_retry_after_within_the_deadline_is_waited_for() -> None:
    async def story() -> tuple[Answer[str], float]:
        busy = AttemptError(Outcome.HTTP_ERROR, "503", retry_after=1.0)
        return await Calls()(failing(busy, None)), now()

    answer, took = simulated(story())
    assert answer.value == "live"
    assert 1.0 <= took <= 1.03


def test_an_answer_on_the_second_attempt_is_live_and_says_that_it_took_a_retry() -> None:
    calls = Calls()
    answer = simulated(calls(failing(ERROR, None)))
    assert (answer.value, answer.source) == ("live", Source.LIVE)
    assert answer.trace.result is Result.AFTER_RETRY
    assert answer.trace.result.verdict is Verdict.SUCCESS
    assert answer.trace.reason is None
    assert answer.trace.retried == [Outcome.HTTP_ERROR]
    assert calls.traces == [answer.trace]


def test_an_answer_at_once_is_a_first_try() -> None:
    answer = simulated(Calls()(failing(None)))
    assert answer.trace.result is Result.FIRST_TRY
    assert [attempt.outcome for attempt in answer.trace.attempts] == [Outcome.OK]


@pytest.mark.parametrize("at", [0.1, 0.2501, 0.6])
def test_a_cancelled_call_ends_as_ignored_and_its_attempt_as_cancelled(at: float) -> None:
    calls = Calls()

    async def story() -> None:
        task = asyncio.create_task(calls(hang))
        await asyncio.sleep(at)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    simulated(story())
    (trace,) = calls.traces
    assert trace.result is Result.CANCELLED
    assert trace.result.verdict is Verdict.IGNORED
    outcomes = [attempt.outcome for attempt in trace.attempts]
    assert set(outcomes[:-1]) <= {Outcome.TIMEOUT}
    assert outcomes[-1] in {Outcome.CANCELLED, Outcome.TIMEOUT}  # the latter: between two attempts


def test_a_defect_in_the_attempts_own_code_is_logged_and_still_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = simulated(Calls()(failing(KeyError("timestamp"))))
    assert answer.value == "fallback"
    assert answer.trace.reason is FallbackReason.NOT_RETRYABLE
    assert answer.trace.attempts[0].detail == "KeyError: 'timestamp'"
    assert "KeyError" in caplog.text


def test_the_share_of_fallbacks_at_the_stock_rates_is_the_calculated_one() -> None:
    """p = 0.7 * 0.7 a success within the time-out, four attempts: 0.51 ** 4 = 6.8 %."""
    dice = random.Random(7)

    async def unstable(seconds: float) -> str:
        if dice.random() < 0.3:
            raise ERROR
        await asyncio.sleep(3.0 if dice.random() < 0.3 else 0.002)
        return "live"

    async def story() -> None:
        for _ in range(5000):
            await calls(unstable)

    calls = Calls()
    simulated(story())
    fallbacks = sum(trace.source is Source.FALLBACK for trace in calls.traces) / 5000
    assert fallbacks == pytest.approx(0.51**4, abs=0.012)
    attempts = sum(len(trace.attempts) for trace in calls.traces) / 5000
    assert attempts == pytest.approx((1 - 0.51**4) / 0.49, rel=0.03)
