"""The connection is torn down with a TCP reset and nothing is answered.

Closing with SO_LINGER on and 0 seconds sends RST instead of FIN, see socket(7).
"""

from __future__ import annotations

import socket
import struct

from aiohttp import web

from ..unsent import CLOSED_WITHOUT_ANSWER
from .exchange import Exchange
from .fault import Fault

_LINGER_0 = struct.pack("ii", 1, 0)  # struct linger: on, seconds


class Reset(Fault):
    kind = "reset"
    help = "cut off by a TCP reset."

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        transport = exchange.request.transport
        if transport is not None:  # None: the client was faster
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            transport.abort()
        return web.Response(status=CLOSED_WITHOUT_ANSWER)
