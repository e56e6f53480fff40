"""The beginning of a connection that a proxy passes on by the PROXY protocol.

Used only where the settings say so, and then for every connection: one that begins otherwise is
closed without a word, because whoever reaches the port directly could claim to be anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from .client import ClientConnection
from .proxy import Proxy
from .proxy_protocol import MalformedError, read_header


def accepts(proxy: Proxy) -> Callable[[], asyncio.Protocol]:
    """What a listener makes of each connection."""
    if proxy.settings.proxy_protocol:
        return lambda: ProxiedConnection(proxy)
    return lambda: cast(asyncio.Protocol, ClientConnection(proxy))


class ProxiedConnection(asyncio.Protocol):
    """Reads the header, then hands the connection over to a `ClientConnection`."""

    transport: asyncio.Transport

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        seconds = self._proxy.settings.head_timeout
        self._timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            header = read_header(self._data)
        except MalformedError:
            self.transport.abort()
            return
        if header is None:
            return
        self._timer.cancel()
        client = ClientConnection(self._proxy, header.client)
        self.transport.set_protocol(cast(asyncio.Protocol, client))
        client.connection_made(self.transport)
        rest = self._data[header.size :]
        if rest:
            client.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
