"""When a request may be sent to a second backend. Pure.

Never after a byte of an answer reached the client, and only while the whole request can be sent
again. A refused connection has executed nothing, so any method may move on; after that only
requests that may be repeated, because the first backend may have acted: methods that are safe
(RFC 9110 9.2.1), and those whose `Idempotency-Key` lets the backend recognise the repetition.
How many are repeated at all is bounded by `budget.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Failure = Literal["connect", "stale", "reset", "timeout", "protocol", "status"]

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
KEYED_METHODS = frozenset({b"PUT", b"DELETE", b"POST"})
RETRIED_STATUSES = frozenset({502, 503, 504})
MAX_RETRIES = 1  # with two backends one more try is all that helps

_KEY = re.compile(rb"\r\nidempotency-key:[ \t]*[^ \t\r]", re.IGNORECASE)


@dataclass(slots=True)
class Attempts:
    """What one request has used up."""

    retries: int = 0
    free_tries: int = 0


def is_repeatable(method: bytes, head: bytes) -> bool:
    """Whether a backend that has acted already may be asked again, or another one.

    Looked for only when an attempt failed: requests that succeed pay nothing for it.

    Args:
        method: of the request, as on the wire.
        head: request line and fields as sent on.
    """
    return method in SAFE_METHODS or (method in KEYED_METHODS and _KEY.search(head) is not None)


def may_retry(
    failure: Failure, *, attempts: Attempts, repeatable: bool, replayable: bool, forbidden: bool
) -> bool:
    """Whether a failed attempt may be followed by another.

    Args:
        failure: "stale" is a kept connection that closed before the first byte of an answer: the
            backend most likely closed it for idleness, so one such try is free; it goes to the
            same backend by a new connection.
        attempts: what was used so far.
        repeatable: see `is_repeatable`.
        replayable: the body sent so far is still at hand.
        forbidden: the backend answered `X-No-Retry`.
    """
    if forbidden or not replayable:
        return False
    if failure == "stale" and repeatable and attempts.free_tries < 1:
        return True
    if attempts.retries >= MAX_RETRIES:
        return False
    return failure == "connect" or repeatable
