"""The balancer's own port: readiness, metrics, the backends and how they are."""

from __future__ import annotations

from aiohttp import web

from monitoring.exposition import CONTENT_TYPE, Samples, render
from monitoring.page import MetricsPage
from workers import Worker

from .proxy import Proxy


def application(proxy: Proxy, page: MetricsPage, worker: Worker) -> web.Application:
    """Routes of the admin port; read-only."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.Response:
        if not worker.is_ready:
            return web.json_response({"status": "draining"}, status=503)
        if not any(backend.available for backend in proxy.backends):
            return web.json_response({"status": "no backend is available"}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(request: web.Request) -> web.Response:
        restarts: Samples = {
            "worker_restarts_total": {
                (reason,): float(count) for reason, count in worker.restarts().items()
            }
        }
        return web.Response(body=render([page], restarts), headers={"Content-Type": CONTENT_TYPE})

    async def backends(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "backends": [
                    {
                        "address": backend.label,
                        "available": backend.available,
                        "healthy": backend.healthy,
                        "draining": backend.draining,
                        "in_flight": backend.in_flight,
                        "connections": proxy.pools[backend].open_connections,
                    }
                    for backend in proxy.backends
                ],
                "in_flight": proxy.in_flight,
                "clients": len(proxy.clients),
            }
        )

    async def workers(request: web.Request) -> web.Response:
        return web.json_response(worker.describe_pool())

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/backends", backends),
            web.get("/workers", workers),
        ]
    )
    return app
