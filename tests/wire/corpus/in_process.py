"""A client's connection of the balancer without sockets: every split of every case is affordable.

The balancer's own code runs from the client's bytes to the backend's and back; only the two
transports are stand-ins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from balancer.client import ClientConnection
from balancer.proxy import Proxy
from balancer.upstream import BackendConnection, ConnectionPool

from .model import NotARequestError, RequestReader, Seen, origin_answer


class StandInTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000), "socket": None})
        self.written: list[bytes] = []
        self.ended = self.closed = self.paused = False

    def write(self, data: Any) -> None:
        assert not self.ended, "written after the end"
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class StandInOrigin:
    """In place of a pool's `take`: connections that answer every request they get whole."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._open: list[tuple[BackendConnection, StandInTransport, RequestReader]] = []
        self.requests: list[Any] = []
        self.heads: list[bytes] = []
        self.odd = ""

    def take(self) -> BackendConnection:
        connection, transport = BackendConnection(self._pool), StandInTransport()
        connection.connection_made(transport)
        self._open.append((connection, transport, RequestReader()))
        return connection

    def written(self) -> list[bytes]:
        """What came since the last answer, write by write."""
        return [piece for _, transport, _ in self._open for piece in transport.written]

    def answer(self) -> bool:
        """Whether something moved."""
        moved = False
        for connection, transport, reader in self._open:
            data = b"".join(transport.written)
            transport.written.clear()
            try:
                complete = reader.feed(data)
            except NotARequestError as error:
                self.odd = repr(error)
                continue
            for request in complete:
                self.requests.append(request)
                self.heads.append(reader.heads[-1])
                if not transport.closed:
                    connection.data_received(origin_answer(request))
                moved = True
        return moved


async def run(proxy: Proxy, pieces: Iterable[bytes], *, ends: bool) -> Seen:
    """What becomes of these pieces, each a `data_received` of its own."""
    pool = next(iter(proxy.pools.values()))
    origin = StandInOrigin(pool)
    pool.take = origin.take  # type: ignore[method-assign]
    transport = StandInTransport()
    client = ClientConnection(proxy)
    client.connection_made(transport)
    for piece in pieces:
        while transport.paused and not transport.ended:
            await _turn(origin)
        if transport.ended:
            break  # what still comes is read and thrown away
        client.data_received(piece)
        origin.answer()
    for _ in range(200):
        if not await _turn(origin) and not client._waiting:
            break
    if ends and not transport.ended and not client.eof_received():
        transport.close()
    closed = transport.ended
    client.connection_lost(None)
    return Seen(origin.requests, b"".join(transport.written), closed, origin.heads, origin.odd)


async def _turn(origin: StandInOrigin) -> bool:
    moved = origin.answer()
    await asyncio.sleep(0)
    return moved
