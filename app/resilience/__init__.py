"""Policies for one call that may fail. Imports nothing of ours and knows no HTTP client.

`call.py` composes them and states the order; every other file is one pure policy that gets its
clock and its dice as arguments. It wraps any async function::

    call = ResilientCall(CallPolicy(), clock=time.monotonic, dice=random.random, observe=print)
    answer = await call(ask_the_sick_service, lambda: {"message": "Fallback response"})
"""

from .backoff import FullJitter
from .board import Board
from .breaker import BreakerPolicy, BreakerState, Permit, Phase
from .brownout import BrownoutPolicy
from .budget import BudgetPolicy
from .call import PROBE_EXTRAS, Answer, CallPolicy, ResilientCall
from .deadline import ATTEMPT_FLOOR, Deadline, parse_remainder
from .hedge import HedgePolicy
from .limit import Limit, LimitPolicy
from .outcome import (
    VERDICTS,
    Attempt,
    AttemptError,
    FallbackReason,
    Kind,
    Outcome,
    Result,
    Source,
    Trace,
    Verdict,
)
from .retry import RetryPolicy
from .retry_after import parse_retry_after

__all__ = [
    "ATTEMPT_FLOOR",
    "PROBE_EXTRAS",
    "VERDICTS",
    "Answer",
    "Attempt",
    "AttemptError",
    "Board",
    "BreakerPolicy",
    "BreakerState",
    "BrownoutPolicy",
    "BudgetPolicy",
    "CallPolicy",
    "Deadline",
    "FallbackReason",
    "FullJitter",
    "HedgePolicy",
    "Kind",
    "Limit",
    "LimitPolicy",
    "Outcome",
    "Permit",
    "Phase",
    "ResilientCall",
    "Result",
    "RetryPolicy",
    "Source",
    "Trace",
    "Verdict",
    "parse_remainder",
    "parse_retry_after",
]
