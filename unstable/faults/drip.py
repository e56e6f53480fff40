"""The good answer, one byte at a time: a client that only limits the wait for the next byte, not
for the whole answer, waits as long as we like."""

from __future__ import annotations

from aiohttp import web

from ..settings import Knob
from .exchange import Exchange
from .fault import Fault


class Drip(Fault):
    kind = "drip"
    help = "answered well, one byte at a time."
    knobs = (Knob("drip_seconds", 0.1, 0.001, 3600.0, "Pause before each byte of a drip."),)

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        body = exchange.good_body()
        response = web.StreamResponse()
        response.content_type = "application/json"
        response.content_length = len(body)
        await response.prepare(exchange.request)
        for byte in body:
            await exchange.hold(exchange.values["drip_seconds"])
            await response.write(bytes((byte,)))
        return response
