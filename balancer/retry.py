"""When a request may be sent to a second backend. Pure.

Never after a byte of an answer reached the client, and only while the whole request can be sent
again. A refused connection has executed nothing, so any method may move on; after that only
methods that are safe to repeat (RFC 9110 9.2.1), because the first backend may have acted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Failure = Literal["connect", "stale", "reset", "timeout", "protocol", "status"]

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
RETRIED_STATUSES = frozenset({502, 503, 504})
MAX_RETRIES = 1  # with two backends one more try is all that helps


@dataclass(slots=True)
class Attempts:
    """What one request has used up."""

    retries: int = 0
    free_tries: int = 0


def may_retry(
    failure: Failure, method: bytes, *, attempts: Attempts, replayable: bool, forbidden: bool
) -> bool:
    """Whether a failed attempt may be followed by another.

    Args:
        failure: "stale" is a kept connection that closed before the first byte of an answer: the
            backend most likely closed it for idleness, so one such try is free; it goes to the
            same backend by a new connection.
        method: of the request, as on the wire.
        attempts: what was used so far.
        replayable: the body sent so far is still at hand.
        forbidden: the backend answered `X-No-Retry`.
    """
    if forbidden or not replayable:
        return False
    if failure == "stale" and method in SAFE_METHODS and attempts.free_tries < 1:
        return True
    if attempts.retries >= MAX_RETRIES:
        return False
    return failure == "connect" or method in SAFE_METHODS
