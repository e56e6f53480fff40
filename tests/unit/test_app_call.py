"""The composition of the policies, in simulated time: no test here waits."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.resilience import (
    Answer,
    AttemptError,
    BrownoutPolicy,
    BudgetPolicy,
    CallPolicy,
    FallbackReason,
    FullJitter,
    HedgePolicy,
    Outcome,
    Phase,
    ResilientCall,
    Result,
    RetryPolicy,
    Source,
    Trace,
    Verdict,
)
from tests.simulated_time import now, simulated

PATIENT = CallPolicy(attempt_timeout=0.25, hedge=HedgePolicy(hedges=0))


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
        return await Calls(PATIENT)(hang), now()

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
        await Calls(PATIENT)(attempt, remainder=0.5)
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
    calls = Calls(PATIENT)

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


def test_the_first_real_answer_wins_and_the_slow_attempt_is_called_overtaken() -> None:
    order = iter([hang, failing(None)])

    async def attempt(seconds: float) -> str:
        return await next(order)(seconds)

    async def story() -> tuple[Answer[str], float]:
        return await Calls()(attempt), now()

    answer, took = simulated(story())
    assert answer.value == "live"
    assert answer.trace.result is Result.AFTER_HEDGE
    assert took == pytest.approx(0.1, abs=0.01)
    assert [attempt.outcome for attempt in answer.trace.attempts] == [
        Outcome.OK,
        Outcome.OVERTAKEN,
    ]


def test_a_slow_answer_that_comes_after_all_is_taken() -> None:
    async def attempt(seconds: float) -> str:
        await asyncio.sleep(0.7)
        return "late but live"

    answer = simulated(Calls()(attempt))
    assert answer.value == "late but live"
    assert answer.trace.hedges == 4


def test_an_answer_that_comes_during_a_back_off_ends_it() -> None:
    calls = []

    async def attempt(seconds: float) -> str:
        calls.append(now())
        if len(calls) == 1:
            await asyncio.sleep(0.105)
            return "the first one"
        raise AttemptError(Outcome.HTTP_ERROR, "503", retry_after=1.0)

    async def story() -> tuple[Answer[str], float]:
        return await Calls()(attempt), now()

    answer, took = simulated(story())
    assert answer.value == "the first one"
    assert took == pytest.approx(0.105, abs=0.01)


def test_a_hanging_service_is_left_at_the_deadline_and_nothing_is_left_running() -> None:
    async def story() -> tuple[Answer[str], float]:
        answer = await Calls()(hang)
        took = now()
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1
        return answer, took

    answer, took = simulated(story())
    assert answer.trace.reason is FallbackReason.DEADLINE
    assert took == pytest.approx(2.0, abs=0.01)
    assert [attempt.outcome for attempt in answer.trace.attempts] == [Outcome.TIMEOUT] * 5


def test_what_waits_in_our_own_event_loop_is_not_the_services_time() -> None:
    async def answering(seconds: float) -> str:
        await asyncio.sleep(0.110)
        return "live"

    async def story(lag: float) -> float:
        call = ResilientCall(clock=now, lag=lambda: lag)
        for _ in range(30):
            await call(answering, lambda: "fallback")
        await asyncio.sleep(10.0)  # an estimate is kept for a moment
        return call.guard.hedge_delay(now())

    assert simulated(story(0.0)) == 0.25
    assert simulated(story(0.050)) < 0.05


def test_the_worst_wait_of_the_last_moments_counts_when_the_present_one_is_short() -> None:
    async def answering() -> str:
        await asyncio.sleep(0.110)
        return "live"

    async def story() -> float:
        call = ResilientCall(clock=now, worst_lag=lambda: 0.050)
        for _ in range(30):
            await call(lambda _seconds: answering(), lambda: "fallback")
        await asyncio.sleep(10.0)
        return call.guard.hedge_delay(now())

    assert simulated(story()) < 0.05


def test_who_waits_in_our_own_event_loop_hedges_later() -> None:
    async def hedged_after(lag: float) -> float:
        call = ResilientCall(clock=now, lag=lambda: lag)
        answer = await call(hang, lambda: "fallback")
        first, second = answer.trace.attempts[:2]
        return second.started - first.started

    at_once = simulated(hedged_after(0.0))
    assert simulated(hedged_after(0.05)) == pytest.approx(at_once + 0.1, abs=0.02)


class Busy:
    """A call in a process that has had too much to do since `busy_at`."""

    def __init__(self, policy: CallPolicy | None = None, busy_at: float = 0.0) -> None:
        self._busy_at = busy_at
        self.call = ResilientCall(policy or CallPolicy(), clock=now, worst_lag=self._lag)

    def _lag(self) -> float:
        return 0.1 if now() >= self._busy_at else 0.0

    async def warm(self, seconds: float = 0.002) -> None:
        for _ in range(30):
            self.call.guard.took(seconds, now())
        await asyncio.sleep(1.0)  # an estimate is kept for so long


@pytest.mark.parametrize("attempt", [hang, failing(ERROR)])
def test_who_has_too_much_to_do_gives_the_fallback_sooner(attempt: Any) -> None:
    async def story() -> tuple[Answer[str], float]:
        busy = Busy(CallPolicy(retry=RetryPolicy(retries=100, backoff=FullJitter(0.1, 0.2))))
        await busy.warm()
        began = now()
        answer = await busy.call(attempt, lambda: "fallback")
        return answer, now() - began

    answer, took = simulated(story())
    assert 0.05 < took <= 0.26
    assert answer.trace.reason is FallbackReason.BUSY


def test_what_is_under_way_when_there_becomes_too_much_to_do_ends_sooner_too() -> None:
    async def story() -> float:
        busy = Busy(busy_at=now() + 2.0)
        await busy.warm()
        began = now()
        await busy.call(hang, lambda: "fallback")
        return now() - began

    assert simulated(story()) == pytest.approx(1.0, abs=0.11)


def test_a_service_that_is_slow_by_nature_is_not_cut_off_by_a_busy_caller() -> None:
    async def story() -> float:
        busy = Busy()
        await busy.warm(0.5)
        began = now()
        await busy.call(hang, lambda: "fallback")
        return now() - began

    assert simulated(story()) == pytest.approx(2.0, abs=0.01)


def test_the_deadline_of_a_busy_caller_is_no_evidence_against_the_service() -> None:
    async def story() -> Any:
        busy = Busy()
        await busy.warm()
        for _ in range(30):
            await busy.call(hang, lambda: "fallback")
        return busy.call.guard.board.phase()

    assert simulated(story()) == Phase.CLOSED


def test_the_deadline_of_a_busy_caller_can_be_switched_off() -> None:
    async def story() -> float:
        busy = Busy(CallPolicy(brownout=BrownoutPolicy(deadline=0.0)))
        await busy.warm()
        began = now()
        await busy.call(hang, lambda: "fallback")
        return now() - began

    assert simulated(story()) == pytest.approx(2.0, abs=0.01)


def test_what_must_not_be_done_twice_is_asked_once() -> None:
    async def story() -> Answer[str]:
        call = ResilientCall(clock=now)
        return await call(hang, lambda: "fallback", idempotent=False)

    answer = simulated(story())
    assert len(answer.trace.attempts) == 1


def test_once_the_breaker_is_open_nobody_is_asked_and_the_answer_comes_at_once() -> None:
    calls = Calls()

    async def story() -> None:
        for _ in range(20):
            await calls(failing(ERROR))
        before = now()
        answer = await calls(failing(None))
        assert answer.trace.reason is FallbackReason.BREAKER_OPEN
        assert answer.trace.attempts == []
        assert now() == before
        await asyncio.sleep(0.5)
        for _ in range(2):  # nobody waits for a probe, not even who caused it
            before = now()
            assert (await calls(failing(None))).trace.reason is FallbackReason.BREAKER_OPEN
            assert now() == before
            await asyncio.sleep(0.01)
        assert [trace.result for trace in calls.traces if trace.probe] == [Result.FIRST_TRY] * 2
        await asyncio.sleep(0.5)
        assert (await calls(failing(None))).trace.result is Result.FIRST_TRY

    simulated(story())


def test_a_cancelled_probe_gives_its_lease_back() -> None:
    calls = Calls()

    async def story() -> None:
        for _ in range(20):
            await calls(failing(ERROR))
        await asyncio.sleep(0.5)
        await calls(hang)
        await asyncio.sleep(0.1)
        (probe,) = asyncio.all_tasks() - {asyncio.current_task()} - _attempts()
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        for _ in range(2):
            await calls(failing(None))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert (await calls(failing(None))).source is Source.LIVE

    def _attempts() -> set[asyncio.Task[Any]]:
        return {t for t in asyncio.all_tasks() if "hang" in repr(t.get_coro())}

    simulated(story())


def test_a_probe_of_a_hanging_service_asks_three_times_and_ends_within_a_second() -> None:
    calls = Calls()

    async def story() -> None:
        for _ in range(20):
            await calls(failing(ERROR))
        await asyncio.sleep(0.5)
        await calls(hang)
        await asyncio.sleep(1.1)
        (probe,) = [trace for trace in calls.traces if trace.probe]
        assert len(probe.attempts) == 3
        assert probe.seconds == pytest.approx(1.0, abs=0.01)

    simulated(story())


def test_what_an_outage_has_cost_is_not_missing_when_the_service_is_back() -> None:
    calls = Calls(CallPolicy(budget=BudgetPolicy(ratio=1.5, per_second=0.0)))

    async def story() -> None:
        await asyncio.sleep(100.0)
        for _ in range(20):
            await calls(failing(ERROR))
        assert calls.traces[-1].reason is FallbackReason.BUDGET
        await asyncio.sleep(0.5)
        for _ in range(2):  # probes
            await calls(failing(ERROR, None))
            await asyncio.sleep(0.1)
        assert [t.result for t in calls.traces if t.probe] == [Result.AFTER_RETRY] * 2
        for _ in range(20):
            await asyncio.sleep(0.1)
            await calls(failing(None))
        again = await calls(failing(ERROR, ERROR, None))
        assert again.source is Source.LIVE

    simulated(story())


def test_without_budget_there_are_no_extras_and_the_answer_says_so() -> None:
    policy = CallPolicy(budget=BudgetPolicy(ratio=0.0, per_second=0.0))
    answer = simulated(Calls(policy)(failing(ERROR)))
    assert answer.trace.reason is FallbackReason.BUDGET
    assert len(answer.trace.attempts) == 1


def test_the_last_real_answer_is_given_with_its_age_until_it_is_too_old() -> None:
    calls = Calls(CallPolicy(stale=60.0, breaker=None))

    async def story() -> None:
        assert (await calls(failing(ERROR))).source is Source.FALLBACK
        await calls(failing(None))
        await asyncio.sleep(10.0)
        old = await calls(failing(ERROR))
        assert (old.value, old.source) == ("live", Source.STALE)
        assert old.trace.age == pytest.approx(10.0, abs=0.5)
        await asyncio.sleep(60.0)
        assert (await calls(failing(ERROR))).value == "fallback"

    simulated(story())


@pytest.mark.parametrize("broken", ["breaker", "hedge", "budget", "board", "observe"])
def test_a_defect_in_a_policy_never_turns_a_good_answer_into_an_error(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        hedges = 4
        hedge_delay = window = 1.0

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"defect in {broken}.{name}")

    def observe(trace: Trace) -> None:
        raise RuntimeError("defect in observe")

    async def story() -> None:
        call = ResilientCall(clock=now, observe=observe)
        if broken != "observe":
            setattr(call.guard, broken, Broken())
        assert (await call(failing(None), lambda: "fallback")).value == "live"
        assert (await call(failing(ERROR, None), lambda: "fallback")).value == "live"

    simulated(story())
    assert "defect" in caplog.text
