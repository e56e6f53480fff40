"""One connection to a server: parsed strictly, kept alive, never trusted when idle.

An idle connection that becomes readable is closed, whatever it says, and a byte left over after
an answer closes the connection: nothing that came before a request was sent can be its answer.
(What comes unasked *after* it was sent, no client of HTTP/1.1 can tell from the answer.)
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from .answer import AnswerHead, BadAnswerError, Field, read_head

MAX_HEAD = 64 * 1024  # bytes of an answer's head, and of its trailers


class Receiver(Protocol):
    """Who gets an answer, in this order; after `answer_end` or `answer_failed` nothing comes.

    A receiver that wants no more calls `Connection.close`, one that has its answer
    `Connection.release`; one that cannot take more for now `Connection.hold`.
    """

    method: bytes

    def answer_head(self, head: AnswerHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...
    def answer_end(self) -> None: ...
    def answer_failed(self, why: str, *, protocol: bool) -> None:
        """`protocol`: what came is no HTTP; otherwise the connection ended too early."""

    def answer_flush(self) -> None:
        """All that has come so far was handed over; more may follow."""

    def request_paused(self, paused: bool) -> None:
        """The server takes no more of the request's body, or takes more again."""


class Keeper(Protocol):
    """Who owns connections."""

    def opened(self, connection: Connection) -> None: ...
    def keep(self, connection: Connection) -> None: ...
    def discard(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """It serves one receiver at a time and is idle in between."""

    transport: asyncio.Transport

    def __init__(self, keeper: Keeper) -> None:
        self.receiver: Receiver | None = None
        self.used = False  # has carried an answer: a close before the next may be mere idleness
        self.idle_since = 0.0
        self._keeper = keeper
        self._closed = False
        self._held = False
        self._fields: list[Field] = []
        self._reason = b""
        self._new_parser()

    # The request

    def send(self, receiver: Receiver, head: bytes) -> None:
        """Start a request; its body may follow by `transport.write`."""
        self.receiver = receiver
        self.transport.write(head)

    @property
    def was_idle(self) -> bool:
        """It has carried an answer before, and no byte of the present one has come: the server
        may have closed it before it saw the request."""
        return self.used and not self._head_bytes

    @property
    def answer_begun(self) -> bool:
        """Whether the head of the present answer is complete."""
        return self._head is not None

    def hold(self, paused: bool) -> None:
        """Stop reading while who wants the answer cannot take more, or go on."""
        if paused != self._held and not self.transport.is_closing():
            self._held = paused
            act: Callable[[], None] = (
                self.transport.pause_reading if paused else self.transport.resume_reading
            )
            act()

    def release(self) -> None:
        """Back to the keeper after a complete answer, if the connection may be kept."""
        self.receiver = None
        self.hold(False)
        if self._reusable and self._complete and not self.is_closing:
            self.used = True
            if self._head is not None and self._head.body_end == "none":
                self._new_parser()  # it may be waiting for a body that HEAD does not have
            self._keeper.keep(self)
        else:
            self.close()

    def close(self) -> None:
        """At once; the receiver hears nothing more."""
        self.receiver = None
        if not self._closed:
            self.transport.abort()

    @property
    def is_closing(self) -> bool:
        return self._closed or self.transport.is_closing()

    @property
    def is_fit(self) -> bool:
        """Idle, open, and nothing has come that the loop has not read yet."""
        return not (self._closed or self.transport.is_closing() or self._poll.poll(0))

    def begin(self) -> None:
        """Forget the last answer, before the next request is sent."""
        self._complete = self._in_body = self._reusable = False
        self._head: AnswerHead | None = None
        self._head_bytes = self._bytes_without_body = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._keeper.opened(self)

    def data_received(self, data: bytes) -> None:
        receiver = self.receiver
        if receiver is None:  # nobody asked
            self._keeper.discard(self)
            self.close()
            return
        if self._in_body:
            self._bytes_without_body += len(data)
        else:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("switched protocols unasked")
        except httptools.HttpParserError as error:
            if not isinstance(error.__context__, BadAnswerError | None):
                told = {"message": "a receiver failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)
            self._fail(_reason(error))
        else:
            if max(self._head_bytes, self._bytes_without_body) > MAX_HEAD:
                self._fail("head or trailers without end")
        if self.receiver is receiver:
            if self._complete:
                receiver.answer_end()
            else:
                receiver.answer_flush()

    def eof_received(self) -> None:
        receiver, head = self.receiver, self._head
        if receiver and head and head.body_end == "close" and not self._complete:
            self._complete, self._reusable = True, False
            receiver.answer_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._keeper.lost(self)
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.answer_failed("closed before the answer was complete", protocol=False)

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
        if not self._in_body:  # trailers are dropped
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or self.receiver is None or 100 <= status < 200:
            return
        if self._parser.get_http_version() not in ("1.0", "1.1"):
            raise BadAnswerError("version of the answer is neither 1.0 nor 1.1")
        head = read_head(
            status,
            self._reason,
            self._fields,
            method=self.receiver.method,
            keep_alive=self._parser.should_keep_alive(),
        )
        self._head = head
        self._head_bytes = 1  # it is read, and what came with it was body
        self._in_body = True
        self._reusable = head.keep_alive and head.body_end != "close"
        self.receiver.answer_head(head)
        if head.body_end == "none":
            self._complete = True

    def on_body(self, data: bytes) -> None:
        self._bytes_without_body = 0
        if self._complete:  # a body where none may be
            self._reusable = False
        elif self.receiver is not None:
            self.receiver.answer_body(data)

    def on_message_complete(self) -> None:
        if self._head is not None:  # not for an interim 1xx answer
            self._complete = True

    def _fail(self, why: str) -> None:
        self._reusable = False
        if self._complete:
            return  # the answer itself was whole; only the connection is spoilt
        receiver = self.receiver
        self.close()
        if receiver is not None:
            receiver.answer_failed(why, protocol=True)

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin()


def _reason(error: Exception) -> str:
    # httptools wraps what a callback raised; the cause is what happened.
    return str(error.__context__ or error) or type(error).__name__
