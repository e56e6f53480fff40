"""What an answer of the external service is worth: real data, or a failed attempt and why."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from .resilience import AttemptError, Outcome

_NOT_IMPLEMENTED = 501


def check_status(status: int, retry_after: float | None) -> None:
    """Raises AttemptError unless the status is a success.

    A server error may be over at the next attempt, except 501: the service does not know the
    method, and will not know it later. Everything else that is no success (a redirect, a client
    error) says that the request is wrong, and would say so again.
    """
    if 200 <= status <= 299:
        return
    raise AttemptError(
        Outcome.HTTP_ERROR,
        f"HTTP {status}",
        retryable=status >= 500 and status != _NOT_IMPLEMENTED,
        retry_after=retry_after,
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises AttemptError for anything else.

    Numbers that Python reads and JSON does not have (NaN, or 1e999, which becomes infinite) are
    refused, because our own answer would be no JSON with them.
    """
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise AttemptError(Outcome.BAD_ANSWER, f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise AttemptError(Outcome.BAD_ANSWER, f"JSON, but no object: {type(value).__name__}")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is out of range")
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
