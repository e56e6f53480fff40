"""Answers as Grafana's HTTP API is documented to, with the dashboards of this checkout.

It stands in where no Grafana can be had. What it checks itself: basic authentication, and that a
query names the data source and has the fields that Grafana asks for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from monitoring.verification.verify import DASHBOARDS

Frames = list[dict[str, Any]]


def frames(*values: float | None) -> Frames:
    """One line of points five seconds apart."""
    times = [1_700_000_000_000 + 5000 * number for number in range(len(values))]
    fields = [
        {"name": "Time", "type": "time"},
        {"name": "Value", "type": "number", "labels": {}},
    ]
    return [{"schema": {"refId": "A", "fields": fields}, "data": {"values": [times, [*values]]}}]


class GrafanaServer:
    """Change the attributes to break it.

    Attributes:
        data: what expressions bring that do not bring a line of numbers.
        errors: why expressions fail.
    """

    def __init__(self) -> None:
        self.password = "admin"
        self.database = "ok"
        self.datasource: dict[str, Any] | None = {
            "uid": "prometheus", "type": "prometheus", "url": "http://127.0.0.1:9090",
        }  # fmt: skip
        self.health = {"status": "OK", "message": "Successfully queried the Prometheus API."}
        self.dashboards: dict[str, Any] = {
            board["uid"]: board
            for board in (json.loads(file.read_text()) for file in DASHBOARDS.glob("*.json"))
        }
        self.data: dict[str, Frames] = {}
        self.errors: dict[str, str] = {}
        self.asked: list[str] = []

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._signed_in])
        app.add_routes(
            [
                web.get("/api/health", self._health),
                web.get("/api/datasources/uid/{uid}", self._datasource),
                web.get("/api/datasources/uid/{uid}/health", self._datasource_health),
                web.get("/api/search", self._search),
                web.get("/api/dashboards/uid/{uid}", self._dashboard),
                web.post("/api/ds/query", self._query),
            ]
        )
        return app

    @web.middleware
    async def _signed_in(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path != "/api/health":
            given = request.headers.get("Authorization", "")
            if given != aiohttp.encode_basic_auth("admin", self.password):
                return web.json_response({"message": "Invalid username or password"}, status=401)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _health(self, _request: web.Request) -> web.Response:
        status = 200 if self.database == "ok" else 503
        told = {"database": self.database, "version": "13.0.4", "commit": "abcdef"}
        return web.json_response(told, status=status)

    async def _datasource(self, request: web.Request) -> web.Response:
        if self.datasource is None or request.match_info["uid"] != self.datasource["uid"]:
            return web.json_response({"message": "Data source not found"}, status=404)
        return web.json_response(self.datasource)

    async def _datasource_health(self, _request: web.Request) -> web.Response:
        return web.json_response(self.health, status=200 if self.health["status"] == "OK" else 400)

    async def _search(self, request: web.Request) -> web.Response:
        assert request.query["type"] == "dash-db"
        return web.json_response(
            [
                {"uid": uid, "title": board["title"], "type": "dash-db", "folderTitle": "Stack"}
                for uid, board in self.dashboards.items()
            ]
        )

    async def _dashboard(self, request: web.Request) -> web.Response:
        board = self.dashboards[request.match_info["uid"]]
        return web.json_response({"dashboard": board, "meta": {"provisioned": True}})

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not body.get("queries"):
            return web.json_response({"message": "no queries found"}, status=400)
        assert {"from", "to"} <= body.keys()
        results = {}
        for query in body["queries"]:
            assert query["datasource"] == {"type": "prometheus", "uid": "prometheus"}
            assert query["range"] and query["intervalMs"] and query["maxDataPoints"]
            results[query["refId"]] = self._result(query["expr"])
        # 400 when any failed; 207 says the newest, whose results are read all the same
        failed = any("error" in result for result in results.values())
        return web.json_response({"results": results}, status=400 if failed else 200)

    def _result(self, expression: str) -> dict[str, Any]:
        self.asked.append(expression)
        if expression in self.errors:
            return {"error": self.errors[expression], "status": 400, "frames": []}
        return {"status": 200, "frames": self.data.get(expression, frames(None, 0.0, 1.5))}


@asynccontextmanager
async def running(server: GrafanaServer) -> AsyncIterator[str]:
    """Its URL."""
    runner = web.AppRunner(server.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
