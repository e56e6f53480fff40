"""W3C Trace Context: which trace a request belongs to. Pure.

A valid `traceparent` is continued: same trace, the balancer's own parent id. Anything else is as
good as none, and then `tracestate` has no meaning either (Trace Context 3.2, 3.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,256}")
_MOST_STATES = 32


@dataclass(slots=True, frozen=True)
class Trace:
    """What a client tells: 32 hexadecimal digits, two of flags, the `tracestate` it sent."""

    trace_id: bytes
    flags: bytes
    state: bytes


def read_trace(parents: list[bytes] | None, states: list[bytes] | None) -> Trace | None:
    """The trace a request belongs to, or None when it must be made.

    Args:
        parents: values of `traceparent`; more than one has no meaning.
        states: values of `tracestate`, which may be several.
    """
    found = _TRACEPARENT.fullmatch(parents[0]) if parents and len(parents) == 1 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    # A version yet unknown may say more behind what is known; 255 will never be one.
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    return Trace(trace_id, flags, _state(states))


def _state(values: list[bytes] | None) -> bytes:
    """The list of vendors' states as one value, or nothing if any of it is malformed."""
    members = [part.strip(b" \t") for part in b",".join(values or []).split(b",")]
    members = [member for member in members if member]
    if len(members) > _MOST_STATES or not all(_STATE.fullmatch(member) for member in members):
        return b""
    return b",".join(members)
