"""Connections to one backend: parsed strictly, kept alive, never trusted when idle.

An idle connection that becomes readable is closed, whatever it says, and a byte left over after
an answer closes the connection: nothing of one answer can reach another request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from .backends import Backend
from .request_head import Field
from .response_head import BadResponseError, ResponseHead, interim_block, read, read_switch
from .settings import Settings

MAX_ANSWER_HEAD = 64 * 1024
_CONTINUE = 100
_SWITCHING = 101
_FIRST_BYTE = ord("H")  # llhttp reads ICE and RTSP too, and skips CR and LF
_FRAMING = (b"content-length", b"transfer-encoding")


class Receiver(Protocol):
    """Who gets an answer: an exchange, or a health check. Called in this order; after
    `response_end` or `response_failed` nothing more comes."""

    method: bytes
    may_switch: bool

    def response_interim(self, block: bytes) -> None:
        """A 102 or 103, as it is sent on; any number of them come first."""

    def response_head(self, head: ResponseHead) -> None: ...
    def response_body(self, data: bytes) -> None: ...
    def response_end(self) -> None: ...
    def response_failed(self, why: str, *, protocol: bool) -> None: ...
    def response_switched(self, fields: list[Field], behind: bytes) -> None:
        """Instead of all these: a 101, if `may_switch`, and the bytes right behind it."""

    def response_flush(self) -> None: ...
    def request_paused(self, paused: bool) -> None: ...


class BackendConnection:
    """One connection, an asyncio.Protocol in all but inheritance, which its compiled form cannot
    have. It serves one receiver at a time and is idle in between."""

    transport: asyncio.Transport

    def __init__(self, pool: ConnectionPool) -> None:
        self.pool = pool
        self.receiver: Receiver | None = None
        self.counted = False  # among the pool's open connections
        self.used = False  # has carried an answer: a close before the next may be mere idleness
        self.idle_since = 0.0
        self.closed = False
        self._held = False
        self._fields: list[Field] = []
        self._reason = b""
        self._head: ResponseHead | None = None
        self._switch: list[Field] | None = None  # the fields of a 101
        self._complete = False
        self._head_bytes = self._bytes_without_body = 0
        self._new_parser()

    # The request

    def send(self, receiver: Receiver, head: bytes) -> None:
        """Start a request; its body follows by `transport.write`."""
        self.receiver = receiver
        self.transport.write(head)

    @property
    def was_idle(self) -> bool:
        """It has carried an answer before, and no byte of the present one has come."""
        return self.used and not self._head_bytes

    def hold(self, paused: bool) -> None:
        """Stop reading the answer while who wants it cannot take more, or go on."""
        if paused != self._held and not self.transport.is_closing():
            self._held = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def release(self) -> None:
        """Back to the pool after a complete answer, if the connection may be kept."""
        self.receiver = None
        if self._held:
            self.hold(False)
        if self._reusable and not self.closed and not self.transport.is_closing():
            self.used = True
            if self._head is not None and self._head.body_end == "none":
                self._new_parser()  # it may be waiting for a body that HEAD does not have
            self.pool.keep(self)
        else:
            self.close()

    def close(self) -> None:
        self.receiver = None
        if not self.closed:
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        receiver = self.receiver
        if receiver is None:
            self.pool.discard(self)
            self.close()
            return
        if self._in_body:
            self._bytes_without_body += len(data)
        else:
            if not self._head_bytes and data[0] != _FIRST_BYTE:
                self._fail("not an answer of HTTP")
                return
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._switch is not None and not self._complete:
                receiver.response_switched(self._switch, data[upgrade.args[0] :])
                return
            self._fail("switched protocols unasked")
        except httptools.HttpParserError as error:
            if not isinstance(error.__context__, BadResponseError | None):
                told = {"message": "answer callback failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)
            self._fail(_reason(error))
        else:
            if max(self._head_bytes, self._bytes_without_body) > MAX_ANSWER_HEAD:
                self._fail("head or trailers without end")
        if self._complete and self.receiver is receiver:
            receiver.response_end()
        else:
            receiver.response_flush()

    def eof_received(self) -> None:
        receiver, head = self.receiver, self._head
        if receiver and head and head.body_end == "close" and not self._complete:
            self._complete, self._reusable = True, False
            receiver.response_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.pool.lost(self)
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.response_failed("closed before the answer was complete", protocol=False)

    def pause_writing(self) -> None:
        if self.receiver is not None:
            self.receiver.request_paused(True)

    def resume_writing(self) -> None:
        if self.receiver is not None:
            self.receiver.request_paused(False)

    # Parser callbacks

    def on_message_begin(self) -> None:
        if self._complete:  # bytes beyond the answer
            self._reusable = False
            return
        self._fields = []
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # trailers are not passed on
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or self.receiver is None:
            return
        if 100 <= status < 200:
            if any(name.lower() in _FRAMING for name, _value in self._fields):
                raise BadResponseError("an interim answer with a body")
            if status == _SWITCHING:
                self._switch_read(self.receiver)
            elif status != _CONTINUE:  # that one the balancer says itself
                self.receiver.response_interim(interim_block(status, self._reason, self._fields))
            return
        if self._head_bytes > MAX_ANSWER_HEAD and self._fields_size() > MAX_ANSWER_HEAD:
            raise BadResponseError("head too large")
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise BadResponseError("version of the answer is neither 1.0 nor 1.1")
        head = read(
            status,
            self._reason,
            self._fields,
            request_method=self.receiver.method,
            keep_alive=self._parser.should_keep_alive(),
        )
        if head.body_end == "chunked" and version == "1.0":  # RFC 9112 6.1
            raise BadResponseError("chunked in HTTP/1.0")
        self._head = head
        self._head_bytes = 1  # it is read, and what came with it was body
        self._in_body = True
        self._reusable = head.keep_alive and head.body_end != "close"
        self.receiver.response_head(head)
        if head.body_end == "none":
            self._complete = True

    def _fields_size(self) -> int:
        return sum(len(name) + len(value) + 4 for name, value in self._fields)

    def on_body(self, data: bytes) -> None:
        self._bytes_without_body = 0
        if self._complete:  # a body where none may be
            self._reusable = False
        elif self.receiver is not None:
            self.receiver.response_body(data)

    def on_message_complete(self) -> None:
        if self._head is not None:  # not for an interim 1xx answer
            self._complete = True

    def _switch_read(self, receiver: Receiver) -> None:
        """A 101: the end of HTTP on this connection, if the receiver asked for it."""
        if not receiver.may_switch:
            raise BadResponseError("switched protocols unasked")
        self._switch = read_switch(self._fields)

    def _fail(self, why: str) -> None:
        self._reusable = False
        if self._complete:
            return  # the answer itself was whole; only the connection is spoilt
        receiver = self.receiver
        self.close()
        if receiver is not None:
            receiver.response_failed(why, protocol=True)

    def begin(self) -> None:
        """Forget the last answer before the next request is sent."""
        self._complete = self._in_body = self._reusable = False
        self._head = None
        self._switch = None
        self._head_bytes = self._bytes_without_body = 0

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()


class ConnectionPool:
    """The connections of this worker to one backend; idle ones are used last in, first out."""

    def __init__(self, backend: Backend, settings: Settings, now: Callable[[], float]) -> None:
        self.backend = backend
        self._now = now
        self.open_connections = 0
        self._settings = settings
        self._idle: list[BackendConnection] = []

    def take(self) -> BackendConnection | None:
        """An idle connection, or None: `connect` then."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                connection.begin()
                return connection
        return None

    async def connect(self) -> BackendConnection:
        """A new connection; who asks bounds the time. Raises OSError."""
        address = self.backend.address
        loop = asyncio.get_running_loop()
        connection = BackendConnection(self)
        await loop.create_connection(
            lambda: cast(asyncio.Protocol, connection), address.host, address.port
        )
        # Not when it is made: of one that is given up in that moment uvloop tells no end.
        if not connection.closed:
            connection.counted = True
            self.open_connections += 1
        return connection

    def keep(self, connection: BackendConnection) -> None:
        if self.backend.draining:  # who drains a backend wants to stop it
            connection.close()
            return
        connection.idle_since = self._now()
        self._idle.append(connection)

    def discard(self, connection: BackendConnection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, now: float) -> None:
        """Close what was idle for longer than the setting. Oldest stand first."""
        while self._idle and now - self._idle[0].idle_since > self._settings.upstream_idle:
            self._idle.pop(0).close()

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def lost(self, connection: BackendConnection) -> None:
        self.open_connections -= connection.counted
        self.discard(connection)


def _reason(error: Exception) -> str:
    # httptools wraps what a callback raised; the cause is what happened.
    return str(error.__context__ or error) or type(error).__name__
