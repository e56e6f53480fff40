"""The one place where the policies meet. From the outside in:

1. **fallback**: whatever happens below, the caller gets an answer, and is told which kind;
2. **deadline**: one point in time for all that follows. It is outside the retries, because three
   attempts that each keep to a time-out of their own can still take three times too long;
3. **retry**: several attempts, each with what is left of the deadline. What must refuse a call as
   a whole belongs above this line (it sees one call, not its attempts), what spends on single
   attempts below it;
4. **attempt**: one request with a time-out of its own, so that one that hangs leaves time for
   the next.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import tenacity

from .deadline import Deadline
from .outcome import Attempt, AttemptError, FallbackReason, Outcome, Result, Source, Trace
from .retry import RetryPolicy

T = TypeVar("T")
AttemptFunction = Callable[[float], Awaitable[T]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Seconds. The deadline bounds the whole call, `attempt_timeout` each attempt.

    250 ms: healthy answers take milliseconds and delayed ones 3 s, so waiting is never worth it.
    """

    deadline: float = 2.0
    attempt_timeout: float = 0.250
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a call brought, and how."""

    value: T
    trace: Trace

    @property
    def source(self) -> Source:
        return self.trace.source


class ResilientCall:
    """Calls any async function by a policy.

    Args:
        policy: the numbers.
        observe: told of every call when it ends, a cancelled one too; counts and logs.
        clock: seconds, monotonic.
        dice: a number in [0, 1).
    """

    def __init__(
        self,
        policy: CallPolicy,
        *,
        observe: Callable[[Trace], None] = lambda trace: None,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._observe = observe
        self._clock = clock
        self._dice = dice

    async def __call__(
        self,
        attempt: AttemptFunction[T],
        fallback: Callable[[], T],
        remainder: float | None = None,
    ) -> Answer[T]:
        """The attempt's value, or the fallback's; raises only what `fallback` raises.

        Args:
            attempt: makes one attempt, is told how many seconds it has, may be repeated. It is
                cancelled when they are over.
            fallback: gives the value when no attempt brings one.
            remainder: seconds the caller itself has left, None if it did not say.
        """
        trace = Trace()
        deadline = Deadline.after(self._policy.deadline, remainder, self._clock())
        try:
            value = await self._with_retries(attempt, deadline, trace)
            trace.result = Result.AFTER_RETRY if trace.retried else Result.FIRST_TRY
        except AttemptError:
            trace.result = Result.FALLBACK
            value = fallback()
        finally:
            self._observe(trace)
        return Answer(value, trace)

    async def _with_retries(
        self, attempt: AttemptFunction[T], deadline: Deadline, trace: Trace
    ) -> T:
        policy = self._policy.retry

        def wait(state: tenacity.RetryCallState) -> float:
            return policy.wait(_failure(state), state.attempt_number, self._dice)

        def stop(state: tenacity.RetryCallState) -> bool:
            trace.reason = policy.give_up(
                _failure(state),
                state.attempt_number,
                state.upcoming_sleep,
                deadline,
                self._clock(),
            )
            return trace.reason is not None

        def note(state: tenacity.RetryCallState) -> None:
            trace.retried.append(_failure(state).outcome)

        if not deadline.allows(self._clock()):
            trace.reason = FallbackReason.DEADLINE
            raise AttemptError(Outcome.TIMEOUT, "the caller has no time left for an attempt")
        retrying = tenacity.AsyncRetrying(  # keeps state of the call, so each call has its own
            retry=tenacity.retry_if_exception_type(AttemptError),
            wait=wait,
            stop=stop,
            before_sleep=note,
            sleep=asyncio.sleep,
            reraise=True,
        )
        value: T = await retrying(self._attempt, attempt, deadline, trace)
        return value

    async def _attempt(self, attempt: AttemptFunction[T], deadline: Deadline, trace: Trace) -> T:
        started = self._clock()
        seconds = min(self._policy.attempt_timeout, deadline.remaining(started))
        outcome, detail = Outcome.CANCELLED, ""
        try:
            async with asyncio.timeout(seconds):
                value = await attempt(seconds)
            outcome = Outcome.OK
        except Exception as error:
            if not isinstance(error, AttemptError | OSError):
                logger.exception("an attempt failed by a defect of its own code")
            failure = AttemptError.of(error)
            outcome, detail = failure.outcome, str(failure)
            raise failure from error
        finally:
            trace.attempts.append(Attempt(outcome, started, self._clock() - started, detail))
        return value


def _failure(state: tenacity.RetryCallState) -> AttemptError:
    """The error just caught; no other kind is retried, so it is always one of ours."""
    return cast(AttemptError, state.outcome.exception() if state.outcome else None)
