"""The good answer, late."""

from __future__ import annotations

from aiohttp import web

from ..decision import DELAY
from ..settings import Knob
from .exchange import Exchange
from .fault import Fault


class Delay(Fault):
    kind = DELAY
    help = "answered well, but late."
    default_rate = 0.3
    knobs = (Knob("delay_seconds", 3.0, 0.0, 3600.0, "How late a delayed answer is."),)

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        await exchange.hold(exchange.values["delay_seconds"])
        return exchange.good_answer()
