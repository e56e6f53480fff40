"""Policies for one call that may fail. Imports nothing of ours and knows no HTTP client.

`call.py` composes them and states the order; every other file is one pure policy that gets its
clock and its dice as arguments. It wraps any async function::

    call = ResilientCall(CallPolicy(), clock=time.monotonic, random=random.random, observe=print)
    answer = await call(ask_the_sick_service, lambda: {"message": "Fallback response"})
"""

from .backoff import FullJitter
from .call import Answer, CallPolicy, ResilientCall
from .deadline import ATTEMPT_FLOOR, Deadline, parse_remainder
from .outcome import (
    VERDICTS,
    Attempt,
    AttemptError,
    FallbackReason,
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
    "VERDICTS",
    "Answer",
    "Attempt",
    "AttemptError",
    "CallPolicy",
    "Deadline",
    "FallbackReason",
    "FullJitter",
    "Outcome",
    "ResilientCall",
    "Result",
    "RetryPolicy",
    "Source",
    "Trace",
    "Verdict",
    "parse_remainder",
    "parse_retry_after",
]
