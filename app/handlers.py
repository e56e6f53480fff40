"""The endpoints of the product. Yours go here::

    @routes.get("/hello/{name}")
    async def hello(request: web.Request) -> web.Response:
        return json_response({"hello": request.match_info["name"]})

A handler that raises is answered with 500 and logged, one whose client went away is cancelled;
counting, logging and request ids happen around it.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from aiohttp import web

from shards import StoreUnavailableError

from . import ids
from .observe import note
from .records import Record
from .responses import error_response, json_response
from .server_timing import server_timing
from .service import SERVICE

routes = web.RouteTableDef()


@routes.get("/")
async def ask_and_keep(request: web.Request) -> web.Response:
    """Ask the external service, keep what it said under a new id, answer."""
    service = request.app[SERVICE]
    answer = await service.ask(request)
    kept = await service.records.keep(Record(answer.value, answer.source))
    note(request, trace=answer.trace, id=kept.id, stored=kept.stored)
    trace = answer.trace
    body: dict[str, Any] = {
        "instance": service.pid,
        "id": kept.id,
        "data": answer.value,
        "stored": kept.stored,
        "source": answer.source,
    }
    headers = {"X-Source": answer.source, "Server-Timing": server_timing(trace)}
    if trace.age is not None:
        body["age_seconds"] = round(trace.age, 3)
        headers["Age"] = str(int(trace.age))
    return json_response(body, headers=headers)


@routes.get("/data/{id}")
async def read_back(request: web.Request) -> web.Response:
    """A record by its id; 404 only when it is certain that there is none."""
    try:
        record_id = ids.parse(request.match_info["id"])
    except ids.NotAnIdError as error:
        return error_response(400, str(error))
    try:
        record = await request.app[SERVICE].records.find(record_id)
    except StoreUnavailableError as error:
        # X-No-Retry: another instance would ask the same shard.
        headers = {"Retry-After": str(ceil(error.retry_after_seconds)), "X-No-Retry": "1"}
        return error_response(503, "The shard that keeps this id does not answer", headers=headers)
    if record is None:
        return error_response(404, "Data not found")
    note(request, id=record_id)
    return json_response(
        {"id": record_id, "data": record.data, "source": record.source},
        headers={"X-Source": record.source},
    )
