"""Half an answer: Content-Length promises the whole body, the connection closes in its middle."""

from __future__ import annotations

from aiohttp import web

from .exchange import Exchange
from .fault import Fault


class Truncated(Fault):
    kind = "truncated"
    help = "cut off in the middle of the body."

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        body = exchange.good_body()
        response = web.StreamResponse()
        response.content_type = "application/json"
        response.content_length = len(body)
        await response.prepare(exchange.request)
        await response.write(body[: len(body) // 2])
        if exchange.request.transport is not None:
            exchange.request.transport.close()  # after what is written has gone out
        return response
