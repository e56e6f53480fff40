"""The connections to one server."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from .connection import Connection


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server is; `tls` None for plain TCP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Pool:
    """Idle connections are used last in, first out, and closed after `idle_seconds`.

    Keep that below the time after which the server closes them, or a request now and then meets a
    connection that is just being closed.
    """

    def __init__(self, origin: Origin, idle_seconds: float = 15.0) -> None:
        self.origin = origin
        self.open_connections = 0
        self._idle_seconds = idle_seconds
        self._idle: list[Connection] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._ended = False

    def take(self) -> Connection | None:
        """An idle connection, or None: `connect` then."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fit:
                connection.begin()
                return connection
            connection.close()
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        _transport, connection = await loop.create_connection(
            lambda: Connection(self), self.origin.host, self.origin.port, ssl=self.origin.tls
        )
        return connection

    def close_idle(self, now: float) -> None:
        """Close what was idle for too long at `now` on the loop's clock. Oldest stand first."""
        while self._idle and now - self._idle[0].idle_since >= self._idle_seconds:
            self._idle.pop(0).close()

    def close(self) -> None:
        """Close idle connections, and those in use when they are given back."""
        self._ended = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    # For connections

    def opened(self, connection: Connection) -> None:
        self.open_connections += 1

    def keep(self, connection: Connection) -> None:
        if self._ended:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_seconds, self._swept)

    def discard(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def lost(self, connection: Connection) -> None:
        self.open_connections -= 1
        self.discard(connection)

    def _swept(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        self.close_idle(loop.time())
        if self._idle:
            left = self._idle[0].idle_since + self._idle_seconds - loop.time()
            self._sweep = loop.call_later(max(left, 0.01), self._swept)
