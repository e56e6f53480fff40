"""The console's HTTP side: page, JSON, health, metrics; for loopback names and addresses only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime
from importlib.resources import files

from aiohttp import web
from aiohttp.typedefs import Handler

from ..exposition import CONTENT_TYPE, render
from ..host_header import trusted_host
from ..page import MetricsPage, Recorder
from ..process import report_process
from ..stack.observe import observe
from ..stack.project import Project
from ..stack.readiness import Prober
from ..stack.state import StackState
from .page import render_page

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ROUTES = ("/", "/style.css", "/api/state", "/healthz", "/readyz", "/metrics")
CACHE_SECONDS = 0.5  # many viewers cost no more questions than one

_METHODS = ("GET", "HEAD")


class Watch:
    """The latest look at the stack, taken when somebody wants it and it is old."""

    def __init__(self, project: Project, prober: Prober) -> None:
        self._project = project
        self._prober = prober
        self._lock = asyncio.Lock()
        self._state: StackState | None = None
        self._taken = 0.0

    async def state(self) -> StackState:
        async with self._lock:
            if self._state is None or time.monotonic() - self._taken > CACHE_SECONDS:
                self._state = await observe(self._project, self._prober)
                self._taken = time.monotonic()
            return self._state


_PROJECT = web.AppKey("project", Project)
_WATCH = web.AppKey("watch", Watch)
_PAGE = web.AppKey("page", MetricsPage)
_RECORDER = web.AppKey("recorder", Recorder)


def application(project: Project) -> web.Application:
    """The console of one project."""
    app = web.Application(middlewares=[_counted, _guarded])
    app[_PROJECT] = project
    app[_PAGE] = MetricsPage(None)
    app[_RECORDER] = app[_PAGE].recorder(0)
    app.cleanup_ctx.append(_background)
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/style.css", _style),
            web.get("/api/state", _state),
            web.get("/healthz", _alive),
            web.get("/readyz", _ready),
            web.get("/metrics", _metrics),
        ]
    )
    return app


async def _background(app: web.Application) -> AsyncIterator[None]:
    async with Prober() as prober:
        app[_WATCH] = Watch(app[_PROJECT], prober)
        report = asyncio.create_task(report_process(app[_RECORDER], started=time.time()))
        yield
        report.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await report


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not trusted_host(request.host):
        raise web.HTTPMisdirectedRequest(
            text=f"this is not {request.host}: use http://127.0.0.1 or http://localhost\n"
        )
    return await handler(request)


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    in_flight = request.app[_RECORDER].gauge("http_requests_in_flight")
    in_flight.inc()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        response.headers.update(SECURITY_HEADERS)
        return response
    except web.HTTPException as error:
        status = error.status
        error.headers.update(SECURITY_HEADERS)
        raise
    finally:
        in_flight.dec()
        route = request.path if request.path in ROUTES else "_OTHER"
        method = request.method if request.method in _METHODS else "_OTHER"
        recorder = request.app[_RECORDER]
        labels = {"method": method, "route": route}
        recorder.counter("http_requests_total", **labels, status=str(status)).inc()
        recorder.histogram("http_request_duration_seconds", **labels).observe(
            time.perf_counter() - began
        )


async def _page(request: web.Request) -> web.Response:
    state = await request.app[_WATCH].state()
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    return web.Response(text=render_page(state, now), content_type="text/html")


async def _style(_request: web.Request) -> web.Response:
    return web.Response(
        text=files("monitoring.console").joinpath("style.css").read_text(), content_type="text/css"
    )


async def _state(request: web.Request) -> web.Response:
    return web.json_response((await request.app[_WATCH].state()).as_json())


async def _alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=render([request.app[_PAGE]]), headers={"Content-Type": CONTENT_TYPE})
