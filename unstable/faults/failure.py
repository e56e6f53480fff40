"""An error status, at once. The most polite fault: the client can see it."""

from __future__ import annotations

from aiohttp import web

from ..decision import FAILURE
from ..settings import Knob
from .exchange import Exchange
from .fault import Fault


class Failure(Fault):
    kind = FAILURE
    help = "answered with an error status."
    default_rate = 0.3
    knobs = (Knob("failure_status", 500, 500, 599, "Status of a failure.", whole=True),)

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        status = int(exchange.values["failure_status"])
        return web.json_response({"error": "External service failed"}, status=status)
