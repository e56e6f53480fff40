"""No answer, ever: the request ends when the client gives up (or the service stops)."""

from __future__ import annotations

import math

from aiohttp import web

from .exchange import Exchange
from .fault import Fault


class Hang(Fault):
    kind = "hang"
    help = "never answered; the client has to give up."

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        while True:
            await exchange.hold(math.inf)
