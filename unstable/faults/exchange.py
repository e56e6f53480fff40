"""One request and its connection, as a fault sees them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

_LOOK_SECONDS = 1.0
_TCP_ESTABLISHED = 1  # tcpi_state, first byte of struct tcp_info, see tcp(7)


@dataclass(frozen=True)
class Exchange:
    """One request that is to be answered.

    Attributes:
        request: whose connection a fault may also break.
        values: the settings at the moment of the decision, by name.
        clock: Unix time in seconds.
    """

    request: web.Request
    values: Mapping[str, float]
    clock: Callable[[], float]

    def good_body(self) -> bytes:
        """What a healthy service would say now: `{"timestamp": ms, "message": …}`."""
        answer = {"timestamp": int(self.clock() * 1000), "message": "External service OK"}
        return json.dumps(answer).encode()

    def good_answer(self) -> web.Response:
        return web.Response(body=self.good_body(), content_type="application/json")

    async def hold(self, seconds: float) -> None:
        """Sleep, but not longer than the client stays.

        aiohttp cancels the handler when the client closes, except when it has stopped reading
        (behind 32 pipelined requests): then only a look at the connection tells.

        Raises ConnectionAbortedError when that look finds the client gone.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, _LOOK_SECONDS))
            transport = self.request.transport
            if transport is None or not _established(transport):
                if transport is not None:
                    transport.abort()  # the requests queued behind this one go with it
                raise ConnectionAbortedError("the client went away")


def _established(transport: asyncio.BaseTransport) -> bool:
    connection = transport.get_extra_info("socket")
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return bool(info[0] == _TCP_ESTABLISHED)
