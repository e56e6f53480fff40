"""The endpoints.

`GET /data` is the service; `/faults` shows and (from this machine only) changes how it fails;
`/metrics`, `/healthz` and `/readyz` are never failed on purpose.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from aiohttp import web

from monitoring.exposition import CONTENT_TYPE, render
from monitoring.page import MetricsPage

from .changes import parse_changes
from .control import FaultControl
from .faults import Exchange, Registry
from .loopback import FORWARDED, check_local
from .observe import DECISION
from .overrides import override
from .telemetry import Telemetry


class Service:
    """The handlers, on what they share.

    Args:
        stopping: whether the service is on its way out; `/readyz` says so.
    """

    def __init__(
        self,
        registry: Registry,
        control: FaultControl,
        page: MetricsPage,
        telemetry: Telemetry,
        *,
        stopping: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._control = control
        self._page = page
        self._telemetry = telemetry
        self._stopping = stopping
        telemetry.rates_are(control.settings.rates)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/data", self._data, allow_head=False),  # half an answer to HEAD is none
            web.get("/faults", self._show),
            web.put("/faults", self._change),
            web.delete("/faults", self._restore),
            web.get("/metrics", self._metrics),
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
        ]

    async def _data(self, request: web.Request) -> web.StreamResponse:
        fail = override("fail", request.query.getall("fail", []))
        delay = override("delay", request.query.getall("delay", []))
        await request.read()  # behind a body left unread, nobody notices that the client leaves
        decision = self._control.decide(fail=fail, delay=delay)
        request[DECISION] = decision
        self._telemetry.fault_injected(decision.kind)
        fault = self._registry.by_kind[decision.kind]
        return await fault.answer(Exchange(request, decision.settings.values, time.time))

    async def _show(self, request: web.Request) -> web.Response:
        return self._settings()

    async def _change(self, request: web.Request) -> web.Response:
        _check_local(request)
        changes = parse_changes(await request.read())
        self._control.change(changes)
        return self._settings()

    async def _restore(self, request: web.Request) -> web.Response:
        _check_local(request)
        self._control.restore()
        return self._settings()

    def _settings(self) -> web.Response:
        self._telemetry.rates_are(self._control.settings.rates)
        return web.json_response(dict(self._control.settings.values), dumps=_readable)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=render([self._page]), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        if self._stopping():
            return web.json_response({"status": "draining"}, status=503)
        return web.json_response({"status": "ready"})


def _check_local(request: web.Request) -> None:
    forwarded = [name for name in FORWARDED if name in request.headers]
    check_local(request.remote, request.headers.getall("Host", []), forwarded)


def _readable(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
