"""The trace a request is part of (W3C Trace Context): continued, or made when there is none.

The request is one part (span) of it, and each attempt at the external service another, so that
the line which the external service logs tells which attempt it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDictProxy

from monitoring.access_log import Fields, rfc3339
from monitoring.trace_context import Ids, TraceContext, read_trace

from .resilience import Trace


class RequestTrace:
    """One request's part in a trace. `attempts` are the ids of its attempts in their order."""

    __slots__ = ("_context", "_ids", "attempts", "span_id")

    def __init__(self, context: TraceContext, ids: Ids) -> None:
        self._context = context
        self._ids = ids
        self.span_id = ids.span()
        self.attempts: list[str] = []

    @property
    def trace_id(self) -> str:
        return self._context.trace_id

    @property
    def parent_id(self) -> str:
        """The caller's part; empty when nobody told of one."""
        return self._context.parent_id

    def attempt(self) -> Mapping[str, str]:
        """Header fields for one more attempt."""
        span_id = self._ids.span()
        self.attempts.append(span_id)
        return self._context.fields(span_id)


TRACE = web.RequestKey("trace", RequestTrace)


class Tracer:
    """Of one worker; made after the fork, or two workers would give the same ids."""

    def __init__(self) -> None:
        self.ids = Ids(f"{secrets.randbits(64) | 1 << 63:016x}")

    def begin(self, headers: CIMultiDictProxy[str]) -> RequestTrace:
        parents = headers.getall("traceparent", ())
        context = read_trace(parents, headers.getall("tracestate", ())) if parents else None
        return RequestTrace(context or TraceContext(self.ids.trace(), "", "01"), self.ids)


def tries(trace: Trace, spans: list[str], wall: float) -> list[Fields]:
    """The attempts of a call in the order in which they were made, for the log.

    Args:
        spans: their ids; an attempt that was ended before it began has none.
        wall: Unix time at which the trace's clock stood at 0.
    """
    told = []
    ordered = sorted(trace.attempts, key=lambda one: one.started)
    for number, attempt in enumerate(ordered):
        line: Fields = {
            "time": rfc3339(wall + attempt.started),
            "kind": attempt.kind,
            "outcome": attempt.outcome,
            "duration_ms": round(attempt.seconds * 1000, 3),
        }
        if number < len(spans):
            line["span_id"] = spans[number]
        if attempt.detail:
            line["error"] = attempt.detail
        told.append(line)
    return told
