"""The one place where the policies meet. From the outside in:

1. **fallback**: whatever happens below, the caller gets an answer, and is told which kind;
2. **deadline**: one point in time for all that follows. It is outside the retries, because three
   attempts that each keep to a time-out of their own can still take three times too long;
3. **breaker**: sees whole calls. Inside the retries it would see attempts, half of which may fail
   in a service that can be used very well, and be open most of the time;
4. **retry** after a failure and **hedge** beside slowness, both paid from one **budget**: below
   the breaker, so that a call that is refused spends nothing;
5. **attempt**: one request with what is left of the deadline.

The concurrency limit stands before all this, where requests come in (`app/observe.py`): work
that is too much must be refused before any of it is done.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast

import tenacity

from .board import Board
from .breaker import BreakerPolicy, Permit
from .brownout import BrownoutPolicy
from .budget import BudgetPolicy
from .deadline import Deadline
from .guard import Guard
from .hedge import HedgePolicy
from .outcome import AttemptError, FallbackReason, Kind, Outcome, Result, Source, Trace, Verdict
from .race import AttemptFunction, Race
from .retry import RetryPolicy
from .stale import LastGood

T = TypeVar("T")

logger = logging.getLogger(__name__)

# Seconds a service must have been given before its silence counts against it.
FAIR = 0.5
# A probe asks on behalf of all workers, and of a service that may be down, so not too often: it
# may retry and hedge so many times. None at all would let half of the probes of a service that is
# back, with its stock faults, report it dead.
PROBE_EXTRAS = 2
_LOOK = 0.1  # seconds after which a call that waits sees whether there is too much to do now
_OWN_WAITS = 2  # of an attempt, in the event loop


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Seconds. The deadline bounds the whole call, `attempt_timeout` each attempt (0: the
    deadline alone does; a slow attempt is the hedges' business).

    `breaker` None switches the breaker off; `stale` is for how long the last real answer is given
    instead of the fallback, 0 for never.
    """

    deadline: float = 2.0
    attempt_timeout: float = 0.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    hedge: HedgePolicy = field(default_factory=HedgePolicy)
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    brownout: BrownoutPolicy = field(default_factory=BrownoutPolicy)
    breaker: BreakerPolicy | None = field(default_factory=BreakerPolicy)
    stale: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a call brought, and how."""

    value: T
    trace: Trace

    @property
    def source(self) -> Source:
        return self.trace.source


@dataclass(frozen=True, slots=True)
class _Terms:
    """What one call may do."""

    began: float
    deadline: Deadline
    retry: RetryPolicy
    hedges: int
    delay: float  # seconds without an answer, after which it hedges


class ResilientCall:
    """Calls any async function by a policy.

    Args:
        policy: the numbers.
        board: what all workers know together; one of its own by default.
        observe: told of every call when it ends, a cancelled one too; counts and logs.
        clock: seconds, monotonic, the same for all that share a board.
        dice: a number in [0, 1).
        lag: seconds that what can run waits in this event loop now.
        worst_lag: the longest of them lately.
    """

    def __init__(
        self,
        policy: CallPolicy | None = None,
        *,
        board: Board | None = None,
        observe: Callable[[Trace], None] = lambda trace: None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        lag: Callable[[], float] = lambda: 0.0,
        worst_lag: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.policy = policy = policy or CallPolicy()
        self.guard = Guard(board or Board(), policy.breaker, policy.budget, policy.hedge, dice)
        self._observe = observe
        self._clock = clock
        self._dice = dice
        self._lag = lag
        self._worst_lag = worst_lag
        self._last_good = LastGood(policy.stale)
        self._probes: set[asyncio.Future[None]] = set()

    async def __call__(
        self,
        attempt: AttemptFunction[T],
        fallback: Callable[[], T],
        remainder: float | None = None,
        *,
        idempotent: bool = True,
    ) -> Answer[T]:
        """The attempt's value, or the fallback's; raises only what `fallback` raises.

        Args:
            attempt: makes one attempt, is told how many seconds it has, may be repeated, also
                beside itself. It is cancelled when nobody waits for it any more.
            fallback: gives the value when no attempt brings one.
            remainder: seconds the caller itself has left, None if it did not say.
            idempotent: False for what must not be done twice: there is one attempt then.
        """
        trace = Trace()
        started = self._clock()
        deadline = Deadline.after(self.policy.deadline, remainder, started)
        try:
            value = await self._guarded(attempt, deadline, trace, idempotent)
        except AttemptError:
            trace.result = Result.FALLBACK
            value = self._instead(fallback, trace)
        finally:
            trace.seconds = self._clock() - started
            self._tell(trace)
        return Answer(value, trace)

    def _instead(self, fallback: Callable[[], T], trace: Trace) -> T:
        trace.age = self._last_good.age(self._clock())
        return fallback() if trace.age is None else cast(T, self._last_good.value)

    def _tell(self, trace: Trace) -> None:
        try:
            self._observe(trace)
        except Exception:
            logger.exception("what observes the calls failed")

    async def _guarded(
        self, attempt: AttemptFunction[T], deadline: Deadline, trace: Trace, idempotent: bool
    ) -> T:
        now = self._clock()
        if not deadline.allows(now):
            trace.reason = FallbackReason.DEADLINE
            raise AttemptError(Outcome.TIMEOUT, "the caller has no time left for an attempt")
        permit = self.guard.admit(now)
        if permit is not None and permit.probe >= 0:
            self._probe(attempt, permit, now, idempotent)
            permit = None
        if permit is None:
            trace.reason = FallbackReason.BREAKER_OPEN
            raise AttemptError(Outcome.CANCELLED, "the breaker is open")
        return await self._admitted(attempt, permit, deadline, trace, idempotent)

    def _probe(
        self, attempt: AttemptFunction[T], permit: Permit, now: float, idempotent: bool
    ) -> None:
        """Try the service out beside the caller, who need not wait for what is likely dead."""

        async def look() -> None:
            trace = Trace(probe=True)
            try:
                deadline = Deadline.after(self.policy.deadline, None, now)
                await self._admitted(attempt, permit, deadline, trace, idempotent)
            except AttemptError:
                trace.result = Result.FALLBACK
            finally:
                trace.seconds = self._clock() - now
                self._tell(trace)

        task = asyncio.ensure_future(look())
        self._probes.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._probes.discard)

    async def _admitted(
        self,
        attempt: AttemptFunction[T],
        permit: Permit,
        deadline: Deadline,
        trace: Trace,
        idempotent: bool,
    ) -> T:
        """A call that the breaker lets pass, and hears of when it has ended."""
        now = self._clock()
        verdict = Verdict.IGNORED
        try:
            terms = self._terms(deadline, idempotent, trace.probe, now)
            value = await self._attempts(attempt, terms, trace)
            verdict = Verdict.SUCCESS
        except AttemptError:
            # A caller that came with too little time says nothing about the service.
            impatient = deadline.expires < now + min(self.policy.deadline, FAIR)
            out_of_time = trace.reason is FallbackReason.DEADLINE and impatient
            busy = trace.reason is FallbackReason.BUSY
            verdict = Verdict.IGNORED if out_of_time or busy else Verdict.FAILURE
            raise
        finally:
            self.guard.ended(permit, verdict, self._clock())
        self._last_good.keep(value, self._clock())
        return value

    def _terms(self, deadline: Deadline, idempotent: bool, probe: bool, now: float) -> _Terms:
        retry, hedges = self.policy.retry, self.policy.hedge.hedges
        if not idempotent:
            retry, hedges = replace(retry, retries=0), 0
        elif probe and self.policy.breaker is not None:
            retry = replace(retry, retries=min(retry.retries, PROBE_EXTRAS))
            hedges = min(hedges, PROBE_EXTRAS)
            deadline = Deadline(min(deadline.expires, now + self.policy.breaker.probe_timeout))
        delay = self.guard.hedge_delay(now) if hedges else 0.0
        return _Terms(now, deadline, retry, hedges, delay)

    async def _attempts(self, attempt: AttemptFunction[T], terms: _Terms, trace: Trace) -> T:
        expires = terms.deadline.expires
        race = Race(attempt, self.policy.attempt_timeout, expires, self._clock, trace)
        left = Outcome.CANCELLED
        try:
            race.launch(Kind.FIRST)
            await self._watch(race, terms, trace)
            # Most calls end here, without the loop.
            value = race.result() if race.has_answer else await self._retry(race, terms, trace)
            left = Outcome.OVERTAKEN
            self._succeeded(trace)
            return value
        except AttemptError:
            left = Outcome.TIMEOUT
            raise
        finally:
            race.close(left)

    def _succeeded(self, trace: Trace) -> None:
        trace.reason = None
        if trace.retried:
            trace.result = Result.AFTER_RETRY
        else:
            trace.result = Result.AFTER_HEDGE if trace.hedges else Result.FIRST_TRY
        last = trace.attempts[-1]
        # It waited to be sent and to be read: when we have too much to do that is not the
        # service's time, and hedges that wait for us too would make us later still.
        own = _OWN_WAITS * max(self._lag(), self._worst_lag())
        self.guard.took(max(0.0, last.seconds - own), last.started + last.seconds)

    async def _watch(self, race: Race[T], terms: _Terms, trace: Trace) -> None:
        """Until an attempt has ended; hedges meanwhile. Raises AttemptError at the deadline."""
        delay = terms.delay + _OWN_WAITS * self._lag()
        hedge_at = race.launched + delay
        while not race.has_result:
            now = self._clock()
            deadline = self._deadline(terms, trace, now)
            expires = deadline.expires
            if now >= expires:
                trace.reason = _out_of_time(terms, deadline)
                raise AttemptError(Outcome.TIMEOUT, "no answer within the deadline")
            if trace.hedges >= terms.hedges:
                hedge_at = expires
            elif now >= hedge_at:
                if deadline.allows(now) and self.guard.may_spend(now, trace.probe):
                    trace.hedges += 1
                    race.launch(Kind.HEDGE)
                hedge_at = now + delay
            await race.wait(min(hedge_at, expires, now + _LOOK) - now)

    def _deadline(self, terms: _Terms, trace: Trace, now: float) -> Deadline:
        """An earlier one while this process has too much to do, but for who probes for all."""
        if trace.probe or not self.policy.brownout.is_due(self._worst_lag()):
            return terms.deadline
        expires = terms.began + self.policy.brownout.seconds(self.guard.p95(now))
        return Deadline(expires) if expires < terms.deadline.expires else terms.deadline

    async def _retry(self, race: Race[T], terms: _Terms, trace: Trace) -> T:
        """From the first failure on, which the race holds."""
        paid = False

        def wait(state: tenacity.RetryCallState) -> float:
            return terms.retry.wait(_failure(state), len(trace.retried), self._dice)

        def stop(state: tenacity.RetryCallState) -> bool:
            nonlocal paid
            now = self._clock()
            deadline = self._deadline(terms, trace, now)
            reason = terms.retry.give_up(
                _failure(state), len(trace.retried), state.upcoming_sleep, deadline, now
            )
            if reason is FallbackReason.DEADLINE:
                reason = _out_of_time(terms, deadline)
            if reason is None and not paid:
                paid = self.guard.may_spend(now, trace.probe)
                reason = None if paid else FallbackReason.BUDGET
            trace.reason = reason
            if reason in (None, FallbackReason.NOT_RETRYABLE):
                return reason is not None
            return not (race.under_way and deadline.allows(now))

        async def sleep(seconds: float) -> None:
            if trace.reason is None:
                await race.wait(seconds)  # an attempt under way may end first

        async def again(failed: list[Outcome]) -> T:
            nonlocal paid
            if not race.has_result:
                if trace.reason is None:
                    paid = False
                    trace.retried.append(failed[-1])
                    race.launch(Kind.RETRY)
                await self._watch(race, terms, trace)
            try:
                return race.result()
            except AttemptError as failure:
                failed.append(failure.outcome)
                raise

        retrying = tenacity.AsyncRetrying(  # keeps state of the call, so each call has its own
            retry=tenacity.retry_if_exception_type(AttemptError),
            wait=wait,
            stop=stop,
            sleep=sleep,
            reraise=True,
        )
        return cast(T, await retrying(again, []))


def _out_of_time(terms: _Terms, deadline: Deadline) -> FallbackReason:
    return FallbackReason.DEADLINE if deadline is terms.deadline else FallbackReason.BUSY


def _failure(state: tenacity.RetryCallState) -> AttemptError:
    """The error just caught; no other kind is retried, so it is always one of ours."""
    return cast(AttemptError, state.outcome.exception() if state.outcome else None)
