"""The console's HTTP side: page, stream, buttons, JSON, health, metrics; for loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import secrets
import time
from collections.abc import AsyncIterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from ..exposition import CONTENT_TYPE, render
from ..host_header import trusted_host
from ..page import MetricsPage, Recorder
from ..process import report_process
from ..stack.project import Project
from ..stack.readiness import Prober
from ..stack.supervision import SupervisorError
from .change_guard import PROOF_HEADER, refusal
from .counting import Requests
from .doing import Doer, FaultError
from .live import Live, Message
from .page import render_page
from .scraping import Scraper
from .watch import Watch

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = {"/style.css": "text/css", "/charts.css": "text/css", "/live.js": "text/javascript"}
PLOTLY = "/plotly.min.js"
FAULT = "/api/faults/{name}"
ROUTES = (
    "/", *STATIC, PLOTLY, "/api/state", "/api/live", FAULT, "/healthz", "/readyz", "/metrics",
)  # fmt: skip
BREATH_SECONDS = 15.0  # a stream that says nothing for so long says that it lives

_PROJECT = web.AppKey("project", Project)
_WATCH = web.AppKey("watch", Watch)
_LIVE = web.AppKey("live", Live)
_DOER = web.AppKey("doer", Doer)
_TOKEN = web.AppKey("token", str)
_START = web.AppKey("start", str)
_PAGE = web.AppKey("page", MetricsPage)
_RECORDER = web.AppKey("recorder", Recorder)
_REQUESTS = web.AppKey("requests", Requests)


def application(project: Project) -> web.Application:
    """The console of one project."""
    app = web.Application(middlewares=[_counted, _guarded])
    app[_PROJECT] = project
    app[_TOKEN], app[_START] = secrets.token_urlsafe(32), secrets.token_hex(8)
    app[_PAGE] = MetricsPage(None)
    app[_RECORDER] = app[_PAGE].recorder(0)
    methods = {route: "POST" if route == FAULT else "GET" for route in ROUTES}
    app[_REQUESTS] = Requests(app[_RECORDER], methods)
    app.cleanup_ctx.append(_background)
    app.on_shutdown.append(_end_streams)
    app.add_routes(
        [
            web.get("/", _page),
            *(web.get(path, _static) for path in STATIC),
            web.get(PLOTLY, _plotly),
            web.get("/api/state", _state),
            web.get("/api/live", _live, allow_head=False),
            web.post(FAULT, _do),
            web.get("/healthz", _alive),
            web.get("/readyz", _ready),
            web.get("/metrics", _metrics),
        ]
    )
    return app


async def _background(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with Prober() as prober, aiohttp.ClientSession(connector=connector) as session:
        app[_WATCH] = Watch(app[_PROJECT], prober)
        app[_LIVE] = Live(Scraper(app[_PROJECT], app[_WATCH], session), app[_START])
        app[_DOER] = Doer(app[_PROJECT], session)
        report = asyncio.create_task(report_process(app[_RECORDER], started=time.time()))
        yield
        await app[_DOER].close()
        report.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await report


async def _end_streams(app: web.Application) -> None:
    app[_LIVE].close()


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
    request.app[_REQUESTS].began()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
        return response
    except web.HTTPException as error:
        status = error.status
        error.headers.update(SECURITY_HEADERS)
        raise
    finally:
        request.app[_REQUESTS].ended(
            request.method, _route(request), status, time.perf_counter() - began
        )


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return request.path if resource is None else resource.canonical


async def _page(request: web.Request) -> web.Response:
    app = request.app
    page = render_page(
        await app[_WATCH].state(),
        datetime.now().astimezone().strftime("%H:%M:%S"),
        faults=app[_DOER].faults.values(),
        token=app[_TOKEN],
        start=app[_START],
    )
    return web.Response(text=page, content_type="text/html")


async def _static(request: web.Request) -> web.Response:
    text = files("monitoring.console").joinpath(request.path.removeprefix("/")).read_text()
    return web.Response(text=text, content_type=STATIC[request.path])


async def _plotly(_request: web.Request) -> web.StreamResponse:
    """The file of the installed Python package; found without importing it, which is slow."""
    package = importlib.util.find_spec("plotly")
    for folder in (package.submodule_search_locations or []) if package else []:
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return web.FileResponse(script)
    raise web.HTTPNotFound(text="plotly is not installed: make setup\n")


async def _live(request: web.Request) -> web.StreamResponse:
    """Server-sent events: `history` once, then `look` once a second."""
    response = web.StreamResponse(
        headers={**SECURITY_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
    )
    await response.prepare(request)
    with request.app[_LIVE].listening() as queue, contextlib.suppress(ConnectionError):
        await response.write(b"retry: 1000\n\n")
        while True:
            message: Message | None = ("", "")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BREATH_SECONDS):
                    message = await queue.get()
            if message is None:
                break
            event, text = message
            line = f"event: {event}\ndata: {text}\n\n" if event else ": alive\n\n"
            await response.write(line.encode())
    return response


async def _do(request: web.Request) -> web.Response:
    app, name = request.app, request.match_info["name"]
    why = refusal(
        remote=request.remote or "",
        host=request.host,
        origin=request.headers.get("Origin"),
        token=app[_TOKEN],
        given=request.headers.get(PROOF_HEADER),
    )
    if why:
        return web.json_response({"error": why}, status=403)
    fault = app[_DOER].faults.get(name)
    if fault is None:
        return web.json_response(
            {"error": f"there is no {name}", "allowed": list(app[_DOER].faults)}, status=404
        )
    app[_LIVE].note(f"{fault.label} {fault.program}".strip())
    try:
        await app[_DOER].do(fault)
    except (FaultError, SupervisorError) as error:
        return web.json_response({"error": str(error)}, status=409)
    return web.json_response({"done": fault.command})


async def _state(request: web.Request) -> web.Response:
    return web.json_response((await request.app[_WATCH].state()).as_json())


async def _alive(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=render([request.app[_PAGE]]), headers={"Content-Type": CONTENT_TYPE})
