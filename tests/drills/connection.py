"""One HTTP/1.1 connection to the front door, on httptools' parser. Edge.

aiohttp's ClientSession is no instrument here: it repeats a GET on a closed connection by itself
(a failure would go unseen), and at about 80 us a request the generator of an overload would take
the machine away from what it measures. This costs about a fifth of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from .answers import Failure, Reply


class Connection(asyncio.Protocol):
    """Carries one GET at a time. `idle` is called when it may carry another."""

    def __init__(self, idle: Callable[[Connection], None]) -> None:
        self._idle = idle
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._done: Callable[[Reply], None] | None = None
        self._retry_after = False
        self._body = bytearray()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def get(self, head: bytes, done: Callable[[Reply], None]) -> None:
        """Send a request's head; `done` gets the reply, whatever becomes of it, exactly once."""
        if self._transport is None:
            raise RuntimeError("not connected")
        self._done = done
        self._retry_after = False
        self._body.clear()
        self._transport.write(head)

    def give_up(self, failure: Failure, reason: str) -> None:
        """End the request now: nobody waits for it any longer."""
        if self._transport is not None:
            self._transport.abort()
        self._finish(Reply(failure=failure, reason=reason))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._done is None:  # nothing was asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.give_up("cut", f"not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(Reply(failure="cut", reason=str(exc) if exc else "closed before the answer"))

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 1xx: the answer is still to come
            return
        reply = Reply(status, self._retry_after, bytes(self._body))
        reusable = self._parser.should_keep_alive()
        self._finish(reply)
        if reusable and self.usable:
            self._idle(self)
        else:
            self.close()

    def _finish(self, reply: Reply) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(reply)
