"""The endpoints for whoever runs the service: health, readiness, metrics."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from monitoring.exposition import CONTENT_TYPE, render
from monitoring.page import MetricsPage
from monitoring.shared_file import ForeignFileError
from workers import SLOTS, Worker

from .responses import error_response, json_response
from .service import SERVICE

routes = web.RouteTableDef()


class Pages:
    """The metrics page of this instance, and those of the fleet beside it."""

    def __init__(self, folder: Path, own: MetricsPage, name: str) -> None:
        self._folder = folder
        self._own = own
        self._name = name
        self._others: dict[tuple[str, int], MetricsPage] = {}  # by name and inode

    def of(self, scope: str) -> list[MetricsPage]:
        """The pages of "instance" or "fleet". A stopped instance still counts: its page
        outlives it, and the totals of the fleet must never go back."""
        return [self._own] if scope == "instance" else [self._own, *self._rest()]

    def _rest(self) -> list[MetricsPage]:
        found: dict[tuple[str, int], MetricsPage] = {}
        for path in self._folder.iterdir():
            if path.name != self._name and re.fullmatch(r"[A-Za-z0-9_-]+", path.name):
                key = (path.name, path.stat().st_ino)
                with suppress(ForeignFileError):  # somebody else's, or of another version
                    found[key] = self._others.get(key) or MetricsPage(
                        path, rows=SLOTS, replace=False
                    )
        self._others = found
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Operations:
    """What these endpoints look at."""

    worker: Worker
    pages: Pages


OPERATIONS = web.AppKey("operations", Operations)


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """The process answers."""
    return json_response({"status": "ok"})


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """Whether to send requests here. Looks at nothing else: were it to ask redis or the external
    service, the loss of one would take all instances out at once."""
    if request.app[OPERATIONS].worker.is_ready:
        return json_response({"status": "ready"})
    return json_response({"status": "draining"}, status=503)


@routes.get("/workers")
async def workers(request: web.Request) -> web.Response:
    """The pool of this instance; for whoever stands before it, not for the world outside."""
    if "X-Forwarded-For" in request.headers:
        return error_response(404, "Not found")
    return json_response(request.app[OPERATIONS].worker.describe_pool())


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Totals over the workers of this instance, or over all instances.

    `?scope=instance|fleet` decides. Without it, whoever comes through a proxy gets the fleet:
    it cannot know which instance it will reach, and must not see totals go back.
    """
    scope = request.query.get("scope")
    if scope is None:
        scope = "fleet" if "X-Forwarded-For" in request.headers else "instance"
    if scope not in ("instance", "fleet"):
        return error_response(400, "scope must be instance or fleet")
    extra = _shards(await request.app[SERVICE].records.count())
    if scope == "instance":
        restarts = request.app[OPERATIONS].worker.restarts()
        extra["worker_restarts_total"] = {(why,): count for why, count in restarts.items()}
    body = render(request.app[OPERATIONS].pages.of(scope), extra)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def _shards(sizes: dict[str, int | None]) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        "redis_keys_total": {(name,): size for name, size in sizes.items() if size is not None},
        "redis_shard_up": {(name,): float(size is not None) for name, size in sizes.items()},
    }
