"""What surrounds every request: its id, its count, its log line, and an answer if it fails."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from monitoring.access_log import AccessLog, rfc3339
from workers import Worker

from . import load_report
from .load_report import LoadReport
from .metrics import OTHER, HttpMetrics
from .resilience import Limit, Result, Trace
from .responses import error_response, from_http_exception
from .tracing import TRACE, Served, Tracer, tries

if TYPE_CHECKING:
    from .spans import Spans

REQUEST_ID = web.RequestKey("request_id", str)
_NOTES = web.RequestKey("notes", dict[str, Any])

CLIENT_CLOSED_REQUEST = 499  # NGINX's number for "nobody waited for the answer"; never sent

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)

logger = logging.getLogger(__name__)


def note(request: web.Request, *, trace: Trace | None = None, **fields: Any) -> None:
    """Add fields to the request's log line."""
    notes = request[_NOTES]
    if trace is not None:
        request[TRACE].call = trace
        notes["attempts"] = len(trace.attempts)
        notes["retries"] = len(trace.retried)
        notes["hedges"] = trace.hedges
        notes["upstream_ms"] = round(trace.seconds * 1000, 3)
        notes["source"] = trace.source
        notes["result"] = trace.result
        if len(trace.attempts) > 1 or trace.result is Result.FALLBACK:  # else the line says it all
            wall = time.time() - time.monotonic()
            notes["tries"] = tries(trace, request[TRACE].attempts, wall)
        if trace.result is Result.FALLBACK:
            notes["reason"] = trace.reason
            notes["error"] = trace.attempts[-1].detail if trace.attempts else ""
    notes.update(fields)


class Observer:
    """The middleware of a worker. One, because each costs every request."""

    def __init__(
        self,
        worker: Worker,
        metrics: HttpMetrics,
        log: AccessLog,
        load: LoadReport,
        pid: int,
        limit: Limit | None = None,
        limited: Collection[object] = (),
    ) -> None:
        """`limit` is for the handlers in `limited`; None: for nobody."""
        self._load = load
        self._limit = limit
        self._limited = frozenset(limited)
        self._worker = worker
        self._metrics = metrics
        self._log = log
        self._pid = pid
        self._tracer = Tracer()
        self.draining = False  # from then on every answer closes its connection
        self.spans: Spans | None = None  # gets what has ended
        self.busy: set[web.RequestHandler] = set()  # connections with a request
        self._ended = asyncio.Event()

    async def all_answered(self) -> None:
        """Returns when no request is in flight; only while draining."""
        while self.busy:
            self._ended.clear()
            await self._ended.wait()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id")
        request[TRACE] = self._tracer.begin(request.headers)
        request_id = given if given and _GIVEN_ID.fullmatch(given) else self._tracer.ids.trace()
        request[REQUEST_ID] = request_id
        request[_NOTES] = {}
        self._begin(request)
        status = CLIENT_CLOSED_REQUEST
        try:
            response = await self._admitted(request, handler)
            status = response.status
            if not response.prepared:
                response.headers["X-Request-Id"] = request_id
                response.headers[load_report.HEADER] = self._load.header(
                    time.perf_counter() - started
                )
                if self.draining:
                    response.force_close()
            return response
        finally:
            self._end(request, status, started)

    async def _admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The answer, or 503 at once when more requests are worked on than is good for them.
        Only those for the product are held back: who asks for health or metrics must hear."""
        limit = self._limit
        if limit is None or request.match_info.handler not in self._limited:
            return await _answer(request, handler)
        if not limit.try_begin():
            self._metrics.shed.inc()
            return error_response(
                503, "Too many requests at once; try again", headers={"Retry-After": "1"}
            )
        began = time.perf_counter()
        seconds: float | None = None
        try:
            response = await _answer(request, handler)
            waited = request[_NOTES].get("upstream_ms", 0.0) / 1000
            seconds = time.perf_counter() - began - waited
            return response
        finally:
            limit.end(seconds, time.monotonic())

    def _begin(self, request: web.Request) -> None:
        self.busy.add(request.protocol)
        self._worker.request_started()
        self._metrics.in_flight.inc()

    def _end(self, request: web.Request, status: int, started: float) -> None:
        seconds = time.perf_counter() - started
        self.busy.discard(request.protocol)
        if self.draining:
            self._ended.set()
        self._worker.request_finished()
        self._metrics.in_flight.dec()
        self._metrics.ended(request.method, _route(request), status, seconds)
        if self._log.enabled:
            self._write_line(request, status, seconds)
        if self.spans is not None:
            served = Served(request.method, _route(request), request.path, status, started)
            self.spans.ended(request[TRACE], served)

    def _write_line(self, request: web.Request, status: int, seconds: float) -> None:
        notes, trace = request[_NOTES], request[TRACE]
        self._log.write(
            {
                "time": rfc3339(time.time() - seconds),
                "service": self._worker.name,
                "worker": self._pid,
                "request_id": request[REQUEST_ID],
                "trace_id": trace.trace_id,
                "span_id": trace.span_id,
                "parent_id": trace.parent_id,
                "method": request.method,
                "path": request.path_qs,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
                **notes,
            }
        )


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return from_http_exception(error)
    except Exception as error:
        request_id = request[REQUEST_ID]
        logger.exception("request %s failed: %s %s", request_id, request.method, request.path)
        note(request, error=f"{type(error).__name__}: {error}")
        return error_response(500, "Internal server error", request_id=request_id)


def _route(request: web.Request) -> str:
    """`/data/:id` for `/data/{id}`: bounded, and the same for every id."""
    resource = request.match_info.route.resource
    return OTHER if resource is None else route_label(resource.canonical)


@lru_cache(maxsize=256)
def route_label(canonical: str) -> str:
    """The label of a route as aiohttp writes it, `/data/{id}` or `/data/{id:regex}`."""
    return re.sub(r"\{(\w+)[^}]*\}", r":\1", canonical)


class MalformedRequests(logging.Filter):
    """Counts what the parser answers with 400 before any handler sees it, and keeps its
    tracebacks out of the log: whoever can connect could fill the disk with them."""

    def __init__(self, metrics: HttpMetrics) -> None:
        super().__init__()
        self._metrics = metrics

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._metrics.ended(OTHER, OTHER, 400, 0.0)
            return False
        return record.levelno > logging.DEBUG
