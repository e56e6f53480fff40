"""The trace a request is part of (W3C Trace Context): continued, or made when there is none.

The request is one part (span) of it, and each attempt at the external service another, so that
the line which the external service logs tells which attempt it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDictProxy

from monitoring.access_log import Fields, rfc3339
from monitoring.trace_context import Ids, TraceContext, read_trace

from .resilience import Attempt, Trace


@dataclass(frozen=True, slots=True)
class Served:
    """A request that has its answer. `began` on the clock `time.perf_counter`."""

    method: str
    route: str
    path: str
    status: int
    began: float


class RequestTrace:
    """One request's part in a trace.

    Attributes:
        attempts: the ids of its attempts at the external service, in their order.
        call: these attempts, once they have ended; None for a request that made none.
    """

    __slots__ = ("_context", "_ids", "attempts", "call", "span_id")

    def __init__(self, context: TraceContext, ids: Ids) -> None:
        self._context = context
        self._ids = ids
        self.span_id = ids.span()
        self.attempts: list[str] = []
        self.call: Trace | None = None

    @property
    def trace_id(self) -> str:
        return self._context.trace_id

    @property
    def parent_id(self) -> str:
        """The caller's part; empty when nobody told of one."""
        return self._context.parent_id

    @property
    def flags(self) -> str:
        """Two hexadecimal digits."""
        return self._context.flags

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


def in_order(trace: RequestTrace) -> Iterator[tuple[str, Attempt]]:
    """Each attempt with its id, as they were made; one that was ended before it began has none
    and is left out."""
    attempts = trace.call.attempts if trace.call is not None else []
    return zip(trace.attempts, sorted(attempts, key=lambda one: one.started), strict=False)


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
