"""Requests and attempts as OpenTelemetry spans, for whoever collects them. Edge; optional.

Imported only where the extra `otel` is installed and an endpoint is named. The ids are those of the
access log and of the `traceparent` that goes to the external service; names and attributes are the
semantic conventions': https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import logging
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from .resilience import Outcome
from .tracing import RequestTrace, Served, in_order

_EXPORT_SECONDS = 2.0  # of one batch: a worker that ends waits for no slow collector


class Spans:
    """Of one worker; made after the fork, since a thread of its own sends them.

    What a caller marked as not sampled is not sent, nor what OTEL_TRACES_SAMPLER leaves out.
    """

    def __init__(self, endpoint: str, service: str, pid: int) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        self._ids = _Given()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "process.pid": pid}),
            id_generator=self._ids,
        )
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("app")

    def ended(self, trace: RequestTrace, served: Served) -> None:
        """Give a request away, with the attempts that were made for it."""
        wall = time.time() - time.perf_counter()  # Unix time at which that clock stood at 0
        self._ids.trace = int(trace.trace_id, 16)
        self._ids.span = int(trace.span_id, 16)
        span = self._tracer.start_span(
            f"{served.method} {served.route}",
            _caller(trace),
            SpanKind.SERVER,
            {
                "http.request.method": served.method,
                "http.route": served.route,
                "url.path": served.path,
                "http.response.status_code": served.status,
            },
            start_time=_nanoseconds(wall + served.began),
        )
        if served.status >= 500:
            _fail(span, str(served.status))
        if trace.call is not None:
            self._attempts(trace, span, time.time() - time.monotonic())
        span.end(time.time_ns())

    def _attempts(self, trace: RequestTrace, request: Span, wall: float) -> None:
        """`wall`: Unix time at which the attempts' clock stood at 0."""
        within = set_span_in_context(request, Context())
        for number, (span_id, attempt) in enumerate(in_order(trace)):
            self._ids.span = int(span_id, 16)
            span = self._tracer.start_span(
                "GET",
                within,
                SpanKind.CLIENT,
                {
                    "http.request.method": "GET",
                    "attempt.kind": attempt.kind,
                    "attempt.outcome": attempt.outcome,
                },
                start_time=_nanoseconds(wall + attempt.started),
            )
            if number:
                span.set_attribute("http.request.resend_count", number)
            if attempt.outcome is not Outcome.OK:
                _fail(span, attempt.outcome)
            span.end(_nanoseconds(wall + attempt.started + attempt.seconds))

    def close(self) -> None:
        """Send what is left. Blocks, for 10 s at most when nobody takes it (four batches)."""
        self._provider.shutdown()


class _Given(IdGenerator):
    """Spans are made when their requests have ended, and have had ids for long."""

    trace = span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


def _caller(trace: RequestTrace) -> Context:
    """Where the request comes from; nowhere, when its caller told of no trace."""
    if not trace.parent_id:
        return Context()
    flags = TraceFlags(int(trace.flags, 16))
    parent = SpanContext(int(trace.trace_id, 16), int(trace.parent_id, 16), True, flags)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _fail(span: Span, why: str) -> None:
    span.set_attribute("error.type", why)
    span.set_status(StatusCode.ERROR)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
