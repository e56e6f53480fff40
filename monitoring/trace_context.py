"""W3C Trace Context: which trace a request belongs to, in text as HTTP servers give it. Pure.

The rules are the balancer's (`balancer/trace_context.py`, which reads bytes); a test holds both to
the same answers. https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,256}")
_MOST_STATES = 32
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class TraceContext:
    """What a caller told: its trace, its own part in it (`parent_id`), flags, `tracestate`."""

    __slots__ = ("flags", "parent_id", "state", "trace_id")

    def __init__(self, trace_id: str, parent_id: str, flags: str, state: str = "") -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.flags = flags
        self.state = state

    def fields(self, span_id: str) -> Mapping[str, str]:
        """Header fields for a request made by the part `span_id` of this trace."""
        told = {"traceparent": f"00-{self.trace_id}-{span_id}-{self.flags}"}
        if self.state:
            told["tracestate"] = self.state
        return told


def read_trace(parents: Sequence[str], states: Sequence[str] = ()) -> TraceContext | None:
    """The trace a request belongs to, or None when it must be made.

    Args:
        parents: values of `traceparent`; more than one has no meaning.
        states: values of `tracestate`, which may be several.
    """
    found = _TRACEPARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    # A version yet unknown may say more behind what is known; 255 will never be one.
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id == _NO_TRACE or parent_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, parent_id, flags, _state(states) if states else "")


class Ids:
    """Ids of requests, of traces (32 hexadecimal digits) and of parts of them (16): a part drawn
    once per process, and a count. As unique as random ones; the kernel is not asked each time.

    Args:
        drawn: 16 hexadecimal digits, random; the first 8 are not all 0.
    """

    def __init__(self, drawn: str) -> None:
        self._drawn = drawn
        self._short = drawn[:8]
        self._count = count(1)

    def trace(self) -> str:
        return f"{self._drawn}{next(self._count):016x}"

    def span(self) -> str:
        """Comes again after 4 billion others."""
        return f"{self._short}{next(self._count) & 0xFFFFFFFF:08x}"


def _state(values: Sequence[str]) -> str:
    """The list of vendors' states as one value, or nothing if any of it is malformed."""
    members = [part.strip(" \t") for part in ",".join(values).split(",")]
    members = [member for member in members if member]
    if len(members) > _MOST_STATES or not all(_STATE.fullmatch(member) for member in members):
        return ""
    return ",".join(members)
