"""The balancer's own port: readiness, metrics, the backends and how they are, changes to them.

Reading is open to whoever reaches the port. Changes are taken from this machine only, and not
from a page of some other site that a browser here shows (`admin_guard.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from math import isnan
from typing import Any

from aiohttp import web

from monitoring.exposition import CONTENT_TYPE, Samples, render
from monitoring.page import MetricsPage
from workers import State, Worker

from .admin_guard import errors_as_json, only_from_here
from .backends import Backend
from .changes_file import ChangesFileError
from .membership import (
    Change,
    Changes,
    RefusedChangeError,
    add,
    alter,
    describe,
    remove,
    valid_weight,
)
from .proxy import TICK_SECONDS, Proxy
from .settings import MOST_WEIGHT, Address, Member

Decide = Callable[[Changes], dict[Address, Change]]
_PATIENCE = 3.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(proxy: Proxy, page: MetricsPage, worker: Worker) -> web.Application:
    """Routes of the admin port."""
    app = web.Application(middlewares=[errors_as_json, only_from_here], client_max_size=65536)
    app.add_routes(_reading(proxy, page, worker))
    app.add_routes(_changing(_Changer(proxy, page, worker)))
    return app


def _reading(proxy: Proxy, page: MetricsPage, worker: Worker) -> list[web.RouteDef]:
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
        return web.json_response(listing(proxy, page, worker))

    async def workers(request: web.Request) -> web.Response:
        return web.json_response(worker.describe_pool())

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
        web.get("/backends", backends),
        web.get("/workers", workers),
    ]


def listing(proxy: Proxy, page: MetricsPage, worker: Worker) -> dict[str, Any]:
    """The backends as the answering worker sees them; `in_flight` of a backend is of all
    workers, at most a tick old."""
    return {
        "backends": [_describe(proxy, page, backend) for backend in proxy.backends],
        "policy": proxy.settings.policy,
        "retry_budget_left": round(proxy.budget.left(), 1),
        "in_flight": proxy.in_flight,
        "clients": len(proxy.clients),
        "problem": proxy.changes.problem or None,
        "worker": os.getpid(),
        "workers": _workers(worker),
    }


def _workers(worker: Worker) -> int:
    return sum(one.state is not State.DRAINING for one in worker.siblings())


def _describe(proxy: Proxy, page: MetricsPage, backend: Backend) -> dict[str, Any]:
    configured = any(one.address == backend.address for one in proxy.settings.backends)
    change = proxy.changes.changes.get(backend.address)
    return {
        "address": backend.label,
        "state": backend.state,
        "available": backend.available,
        "healthy": backend.healthy,
        "ejected": backend.ejected,
        "ejected_seconds_left": round(backend.outlier.seconds_left(proxy.now()), 1),
        "draining": backend.draining,
        "removing": backend.removing,
        "weight": backend.weight,
        "in_flight": max(backend.in_flight, _in_flight(page, backend.label)),
        "max_in_flight": backend.max_in_flight,
        "connections": proxy.pools[backend].open_connections,
        "configured": configured,
        "changed": describe(change) if change else None,
    }


def _in_flight(page: MetricsPage, label: str) -> int:
    """Over all living workers."""
    column = page.series().get(("balancer_requests_in_flight", "", (label,)))
    if column is None:
        return 0
    values = page.values(column)
    return int(sum(values[row] for row in page.live_rows() if values[row] > 0))


def _changing(changer: _Changer) -> list[web.RouteDef]:
    return [
        web.post("/backends", changer.add),
        web.put("/backends/{address}", changer.alter),
        web.delete("/backends/{address}", changer.remove),
        web.delete("/changes", changer.forget),
    ]


class _Changer:
    """Makes changes, and answers when every worker knows them."""

    def __init__(self, proxy: Proxy, page: MetricsPage, worker: Worker) -> None:
        self._proxy = proxy
        self._page = page
        self._worker = worker

    async def add(self, request: web.Request) -> web.Response:
        fields = await _fields(request, {"address", "weight"})
        try:
            member = Member.parse(fields["address"])
        except (KeyError, ValueError, AttributeError) as error:
            reason = error if isinstance(error, ValueError) else "address must be HOST:PORT"
            raise web.HTTPBadRequest(text=str(reason)) from None
        weight = _weight(fields) or member.weight
        configured = self._proxy.settings.backends
        await self._change(lambda changes: add(configured, changes, member.address, weight))
        return self._answer(member.address, 201)

    async def alter(self, request: web.Request) -> web.Response:
        address = _address(request)
        fields = await _fields(request, {"weight", "draining"})
        weight, draining = _weight(fields), fields.get("draining")
        if not isinstance(draining, bool | None):
            raise web.HTTPBadRequest(text=f"draining must be true or false, not {draining!r}")
        if weight is None and draining is None:
            raise web.HTTPBadRequest(text="nothing to change: give weight, draining or both")
        configured = self._proxy.settings.backends
        await self._change(
            lambda changes: alter(configured, changes, address, weight=weight, draining=draining)
        )
        return self._answer(address, 200)

    async def remove(self, request: web.Request) -> web.Response:
        """It drains, and is forgotten when it has nothing in flight any more."""
        address = _address(request)
        configured = self._proxy.settings.backends
        await self._change(lambda changes: remove(configured, changes, address))
        return self._answer(address, 202)

    async def forget(self, request: web.Request) -> web.Response:
        """Back to what the settings say."""
        try:
            await self._proxy.changes.forget()
        except ChangesFileError as error:
            raise web.HTTPInternalServerError(text=str(error)) from None
        await self._apply()
        return web.json_response(listing(self._proxy, self._page, self._worker))

    async def _change(self, decide: Decide) -> None:
        try:
            await self._proxy.changes.change(decide)
        except RefusedChangeError as refused:
            raise _refusal(refused) from None
        except ChangesFileError as error:
            raise web.HTTPInternalServerError(text=str(error)) from None
        else:
            self._proxy.tell_changes()
        finally:
            await self._apply()

    async def _apply(self) -> None:
        self._proxy.apply_changes()
        with suppress(TimeoutError):  # one hangs: the pool kills it, and its successor looks
            async with asyncio.timeout(_PATIENCE):
                while not self._all_know():  # noqa: ASYNC110  other processes must
                    await asyncio.sleep(TICK_SECONDS / 4)

    def _all_know(self) -> bool:
        """Whether what is in force here is in force in every worker."""
        column = self._page.series().get(("balancer_changes_serial", "", ()))
        if column is None:
            return True
        values = self._page.values(column)
        known = [values[row] for row in self._page.live_rows() if not isnan(values[row])]
        return all(serial == self._proxy.changes.serial for serial in known)

    def _answer(self, address: Address, status: int) -> web.Response:
        for backend in self._proxy.backends:
            if backend.address == address:
                described = _describe(self._proxy, self._page, backend)
                return web.json_response(described, status=status)
        gone = {"address": str(address), "state": "removed", "in_flight": 0}
        return web.json_response(gone, status=status)


def _refusal(refused: RefusedChangeError) -> web.HTTPException:
    kind = web.HTTPNotFound if refused.status == 404 else web.HTTPConflict
    return kind(text=str(refused))


def _address(request: web.Request) -> Address:
    try:
        return Address.parse(request.match_info["address"])
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


async def _fields(request: web.Request, allowed: set[str]) -> Mapping[str, Any]:
    """The JSON object that was sent. Raises web.HTTPException."""
    try:
        fields = await request.json()
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="the body must be a JSON object") from None
    if not isinstance(fields, dict) or not fields.keys() <= allowed:
        known = ", ".join(sorted(allowed))
        raise web.HTTPBadRequest(text=f"the body must be a JSON object of {known}")
    return fields


def _weight(fields: Mapping[str, Any]) -> int | None:
    weight: int | None = fields.get("weight")
    if weight is not None and not valid_weight(weight):
        raise web.HTTPBadRequest(
            text=f"weight must be a whole number from 1 to {MOST_WEIGHT}, not {weight!r}"
        )
    return weight
