"""The breaker and the budget of a worker, over what all workers know together.

Whatever goes wrong in here (a defect, a spoilt file) costs the protection and never the answer:
a good answer of the upstream must not become an error because somebody counted wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, TypeVar

from .board import BAD, CALLS, GOOD, Board
from .breaker import BreakerPolicy, BreakerState, Permit, Phase
from .budget import BudgetPolicy
from .hedge import HedgePolicy
from .outcome import Verdict

T = TypeVar("T")

logger = logging.getLogger(__name__)
_UNGUARDED = Permit(-1)
_ANYWAY: Permit | None = _UNGUARDED
_UNKNOWN: float | None = None


def _or(otherwise: T) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """What is given instead when the policy itself fails."""

    def decorate(method: Callable[..., T]) -> Callable[..., T]:
        @wraps(method)
        def careful(self: Guard, *arguments: Any) -> T:
            try:
                return method(self, *arguments)
            except Exception:
                self.defects += 1
                if self.defects == 1 or self.defects % 1000 == 0:
                    logger.exception("a policy failed (%d so far); going on", self.defects)
                return otherwise

        return careful

    return decorate


@dataclass(slots=True)
class Guard:
    """`breaker` None switches the breaker off."""

    board: Board
    breaker: BreakerPolicy | None
    budget: BudgetPolicy
    hedge: HedgePolicy
    random: Callable[[], float]
    defects: int = field(default=0)

    @_or(_ANYWAY)
    def admit(self, now: float) -> Permit | None:
        """A permit to call, to be handed to `ended`; None: the breaker says no."""
        if self.breaker is None:
            permit: Permit | None = _UNGUARDED
        elif self.board.phase() == Phase.CLOSED:
            permit = Permit(self.board.epoch())
        else:
            state = self.board.breaker()
            then, permit = self.breaker.admit(state, now, self.random)
            if then != state:  # who does not get the lock now is too late for it
                change = partial(self.breaker.admit, now=now, random=self.random)
                permit = self.board.change(change, otherwise=None)
        if permit is not None:
            self.board.count(CALLS, now)
        return permit

    @_or(None)
    def ended(self, permit: Permit, verdict: Verdict, now: float) -> None:
        """Every admitted call ends here, once."""
        if self.breaker is None or permit is _UNGUARDED:
            return
        probing = permit.probe >= 0
        if verdict is Verdict.IGNORED and not probing:
            return
        if not probing and permit.epoch == self.board.epoch():
            self.board.count(GOOD if verdict is Verdict.SUCCESS else BAD, now)
            if verdict is Verdict.SUCCESS and not self.board.streak():
                return
        self.board.change(partial(self._after, self.breaker, permit, verdict, now), None)

    def _after(
        self,
        policy: BreakerPolicy,
        permit: Permit,
        verdict: Verdict,
        now: float,
        state: BreakerState,
    ) -> tuple[BreakerState, None]:
        def counted(since: float) -> tuple[float, float]:
            return self.board.counted(GOOD, BAD, min(policy.window, now - since), now)

        return policy.ended(state, permit, verdict, counted, now, self.random), None

    @_or(True)
    def may_spend(self, now: float, probe: bool) -> bool:
        """Whether a retry or hedge is within the budget; if so, it counts as made.

        What was spent on an outage is forgotten when the breaker closes, or the first seconds of
        a service that is back would go without; and there are too few probes to need a budget.
        """
        within = self.budget.allows(*self.board.spent(self.budget.window, now))
        if not (probe or within):
            return False
        self.board.note_extra(now)
        return True

    @_or(0.250)
    def hedge_delay(self, now: float) -> float:
        return self.hedge.delay(self.board.p95(now))

    @_or(_UNKNOWN)
    def p95(self, now: float) -> float | None:
        """Of successes, in seconds; None while too few are known."""
        return self.board.p95(now)

    @_or(None)
    def took(self, seconds: float, now: float) -> None:
        """An attempt succeeded after so many seconds."""
        self.board.took(seconds, now)
