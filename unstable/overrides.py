"""`?fail=` and `?delay=`: what a request asks for itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_MEANING = {"true": True, "false": False}


class BadOverrideError(ValueError):
    """The parameter is neither true nor false; the message is for the client."""


def override(name: str, values: Sequence[str]) -> bool | None:
    """True or False as the parameter says, None when it is not there.

    Args:
        name: the parameter, for the message.
        values: all values given for it in the query.

    Raises BadOverrideError for any other value, and when values are given that contradict.
    """
    if not values:
        return None
    if len(set(values)) > 1:
        raise BadOverrideError(f"{name} is given {len(values)} times with different values")
    if values[0] not in _MEANING:
        raise BadOverrideError(f"{name} must be true or false, got {values[0][:80]!r}")
    return _MEANING[values[0]]
