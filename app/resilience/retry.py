"""Whether another attempt is made after a failed one, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .backoff import FullJitter
from .deadline import Deadline
from .outcome import AttemptError, FallbackReason


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `retries` more attempts. For idempotent calls only: 0 retries for any other.

    At the stock rates of the unstable service an attempt succeeds with p = 0.49, so 3 retries
    alone would leave 0.51^4 = 6.8 % of the calls without a real answer; hedges leave 1.2 %.
    """

    retries: int = 3
    backoff: FullJitter = field(default_factory=FullJitter)

    def wait(self, failure: AttemptError, retry: int, random: Callable[[], float]) -> float:
        """Seconds until retry number 0, 1…; `Retry-After` is a lower bound, and the jitter comes
        on top of it so that callers do not come back together."""
        return (failure.retry_after or 0.0) + self.backoff.seconds(retry, random)

    def give_up(
        self, failure: AttemptError, retried: int, wait: float, deadline: Deadline, now: float
    ) -> FallbackReason | None:
        """Why there is no further retry after `retried` of them, or None when there is one."""
        if not failure.retryable:
            return FallbackReason.NOT_RETRYABLE
        if retried >= self.retries:
            return FallbackReason.RETRIES_EXHAUSTED
        if not deadline.allows(now, wait):
            return FallbackReason.DEADLINE
        return None
