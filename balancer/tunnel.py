"""A WebSocket after its handshake: two connections and the bytes between them.

The balancer reads no frames. Each side is read only as fast as the other takes it, a side that
says it will send no more is passed on as that, and a tunnel on which nothing moves is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CLOSING_SECONDS = 5.0  # for what is still to be sent when a tunnel ends


class Tunnel:
    """Takes both transports over and gives neither back.

    Args:
        client: the client's transport.
        backend: the backend's.
        idle: seconds after which a silent tunnel is closed.
        now: the clock.
        ended: called once, with how it ended, in the words of the access log: "ok" if a side
            closed, "client_gone" and "backend_cut" if one was lost, "timeout", "drained".
        lost: called once per side, "client" or "backend", when its connection is gone.
    """

    def __init__(
        self,
        client: asyncio.Transport,
        backend: asyncio.Transport,
        *,
        idle: float,
        now: Callable[[], float],
        ended: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        self.now = now
        self.moved_at = now()
        self._idle = idle
        self._ended = ended
        self.lost = lost
        self._ends_at = 0.0  # when what is left is cut off; 0 while it is open
        self.client = _End(self, client, "client")
        self.backend = _End(self, backend, "backend")
        self.client.other, self.backend.other = self.backend, self.client

    @property
    def bytes_sent(self) -> int:
        """To the client."""
        return self.backend.received

    def begin(self, *, from_client: bytes, from_backend: bytes, client_half_closed: bool) -> None:
        """Pass on what came right behind the two heads, then whatever comes."""
        for end in (self.client, self.backend):
            end.transport.set_protocol(end)
        if from_backend:
            self.backend.data_received(from_backend)
        if from_client:
            self.client.data_received(from_client)
        for end in (self.client, self.backend):
            if not end.other.write_paused:
                end.transport.resume_reading()
        if client_half_closed:
            self.client.eof_received()

    def check(self, now: float) -> None:
        """Called by the coarse timer."""
        if self._ends_at:
            if now > self._ends_at:
                self.client.transport.abort()
                self.backend.transport.abort()
        elif now - self.moved_at > self._idle:
            self.end("timeout")

    def end(self, how: str) -> None:
        """Close both sides once what was taken from the other is sent."""
        if not self._ends_at:
            self._ends_at = self.now() + CLOSING_SECONDS
            self.client.transport.close()
            self.backend.transport.close()
            self._ended(how)

    def abort(self) -> None:
        self.end("drained")
        self.client.transport.abort()
        self.backend.transport.abort()


class _End(asyncio.Protocol):
    """One side of a tunnel."""

    other: _End

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, side: str) -> None:
        self.transport = transport
        self.write_paused = False  # it takes no more at the moment
        self.received = 0
        self._tunnel = tunnel
        self._side = side
        self._finished = False  # it will send no more

    def data_received(self, data: bytes) -> None:
        self._tunnel.moved_at = self._tunnel.now()
        self.received += len(data)
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self._finished:
            return True
        self._finished = True
        if self.other._finished:
            self._tunnel.end("ok")
        elif self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.write_paused = True
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.write_paused = False
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        gone = "client_gone" if self._side == "client" else "backend_cut"
        self._tunnel.end(gone if exc is not None else "ok")
        self._tunnel.lost(self._side)
