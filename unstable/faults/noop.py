"""No fault: the good answer. What every request gets that no fault has picked."""

from __future__ import annotations

from aiohttp import web

from ..decision import CLEAN
from .exchange import Exchange
from .fault import Fault


class Noop(Fault):
    kind = CLEAN
    help = "answered well."

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.good_answer()
