"""Around every request: its id, its metrics, its line in the access log."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from monitoring.access_log import AccessLog, rfc3339
from monitoring.trace_context import Ids, read_trace

from .control import Decision
from .telemetry import Telemetry
from .unsent import CLIENT_WENT_AWAY, CLOSED_WITHOUT_ANSWER

DECISION = web.RequestKey("decision", Decision)
REQUEST_ID = web.RequestKey("request_id", str)

_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Observer:
    """Args:
    stopping: whether the service is on its way out; a request cut short then is our doing.
    """

    def __init__(
        self, telemetry: Telemetry, log: AccessLog, *, stopping: Callable[[], bool]
    ) -> None:
        self._telemetry = telemetry
        self._log = log
        self._stopping = stopping
        self._pid = os.getpid()
        self._ids = Ids(f"{secrets.randbits(64) | 1 << 63:016x}")

    def watch(self, app: web.Application) -> None:
        """Make this the outermost middleware of an application."""

        @web.middleware
        async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._observe(request, handler)

        app.middlewares.insert(0, observe)
        app.on_response_prepare.append(_send_request_id)

    async def _observe(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "")
        request[REQUEST_ID] = given if _GOOD_ID.fullmatch(given) else self._ids.trace()
        arrived, started = time.time(), time.monotonic()
        status = 500  # unless something better comes of it
        self._telemetry.request_started()
        try:
            response = await handler(request)
            status = response.status
            return response
        except asyncio.CancelledError:
            status = CLOSED_WITHOUT_ANSWER if self._stopping() else CLIENT_WENT_AWAY
            raise
        except ConnectionError:  # found out by writing to it
            status = CLIENT_WENT_AWAY
            return web.Response(status=status)
        finally:
            seconds = time.monotonic() - started
            self._telemetry.request_ended(request.method, request.path, status, seconds)
            if self._log.enabled:
                self._write(request, arrived, status, seconds)

    def _write(self, request: web.Request, arrived: float, status: int, seconds: float) -> None:
        decision = request.get(DECISION)
        line = {
            "time": rfc3339(arrived),
            "service": "unstable",
            "worker": self._pid,
            "request_id": request[REQUEST_ID],
            **self._trace(request),
            "method": request.method,
            "path": request.path_qs,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
        }
        if decision is not None:  # the number finds the request again in a repeated run
            line |= {"fault": decision.kind, "decision": decision.number}
        self._log.write(line)

    def _trace(self, request: web.Request) -> dict[str, str]:
        """The caller's trace, or one of its own; `parent_id` is the attempt of the caller."""
        context = read_trace(request.headers.getall("traceparent", ()))
        trace_id = context.trace_id if context else self._ids.trace()
        parent_id = context.parent_id if context else ""
        return {"trace_id": trace_id, "span_id": self._ids.span(), "parent_id": parent_id}


async def _send_request_id(request: web.Request, response: web.StreamResponse) -> None:
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
