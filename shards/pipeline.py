"""One connection to one Redis server, on which everybody's commands travel together. Edge.

Commands of one turn of the event loop are written at once, replies are handed out in the order
in which Redis gives them: the order of the commands. A caller that goes away leaves its place in
that order behind, so its reply is read and dropped, and shifts nobody else's.

The oldest command that waits has a time-out; when it passes, the connection is dropped with all
that wait on it, for Redis answers in order: nothing behind it can have come either. A reply that
comes later is nobody's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, cast

import hiredis

from .layout import Command

Reply = bytes | int | None | Exception | list["Reply"]

_SECOND_LOOK = 0.002  # seconds; uvloop runs timers before it reads: the reply may have arrived


class ReplyError(Exception):
    """An error reply: `OOM command not allowed ...`."""


class Meter(Protocol):
    """Counts what became of one command; `seconds` since it was sent."""

    def succeeded(self, seconds: float) -> None: ...

    def failed(self, seconds: float, error: Exception) -> Exception:
        """An error reply, a lost connection, a time-out; returns what the caller is told."""


Waiting = tuple["asyncio.Future[Reply]", Meter, float]


class _Nobody(Enum):
    """Waits for this reply."""

    QUEUED = auto()  # that of a command within a transaction; EXEC's tells what became of it
    SELECT = auto()  # must be good: what follows would be done in another database


class Pipeline(asyncio.Protocol):
    """Made by `loop.create_connection`; `lost` is called once, with the reason, at its end."""

    def __init__(self, timeout: float, lost: Callable[[Pipeline, Exception], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._lost = lost
        self._transport: asyncio.WriteTransport | None = None
        self._reader = hiredis.Reader(protocolError=ConnectionError, replyError=ReplyError)
        self._queues: dict[int, list[bytes]] = {}  # commands of this turn, by database
        self._queued: dict[int, list[Waiting | _Nobody]] = {}
        self._waiting: deque[Waiting | _Nobody] = deque()
        self._database = 0
        self._turn = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended: Exception | None = None

    def send(self, meter: Meter, database: int, *commands: Command) -> asyncio.Future[Reply]:
        """The reply to a command, or to EXEC when there are several: they are one transaction.

        The future fails with what the meter makes of a ReplyError, TimeoutError or OSError.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._ended is not None:
            future.set_exception(meter.failed(0.0, self._ended))
            return future
        if not self._queues:
            self._turn = self._loop.time()
            self._loop.call_soon(self._flush)
        queue = self._queues.setdefault(database, [])
        queued = self._queued.setdefault(database, [])
        if len(commands) > 1:
            commands = ((b"MULTI",), *commands, (b"EXEC",))
        packed = [_pack(command) for command in commands]  # one that cannot be shifts nothing
        queue.extend(packed)
        queued.extend([_Nobody.QUEUED] * (len(packed) - 1))
        queued.append((future, meter, self._turn))
        return future

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent on it any more."""
        return self._ended is not None

    def close(self, reason: Exception | None = None) -> None:
        """End it now; who waits gets the reason."""
        self._end(reason or ConnectionError("the store was closed"))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._hand_out(reply, now)
        except ConnectionError as error:  # no RESP, or a reply to nothing
            self._end(error)

    # inside

    def _flush(self) -> None:
        if self._ended is not None or self._transport is None:
            return
        chunks: list[bytes] = []
        # The database selected last goes first: a turn costs at most one SELECT a database.
        for database in sorted(self._queues, key=self._database.__ne__):
            if database != self._database:
                chunks.append(_pack((b"SELECT", database)))
                self._waiting.append(_Nobody.SELECT)
                self._database = database
            chunks += self._queues[database]
            self._waiting += self._queued[database]
        self._queues, self._queued = {}, {}
        self._transport.write(b"".join(chunks))
        if self._timer is None:
            self._timer = self._loop.call_at(self._turn + self._timeout, self._look, False)

    def _hand_out(self, reply: Reply, now: float) -> None:
        if not self._waiting:
            raise ConnectionError("a reply that nobody asked for")
        waiting = self._waiting.popleft()
        if isinstance(waiting, _Nobody):
            if waiting is _Nobody.SELECT and isinstance(reply, Exception):
                self._end(reply)
            return
        future, meter, sent = waiting
        error = _error_in(reply)
        if error is not None:
            error = meter.failed(now - sent, error)
        else:
            meter.succeeded(now - sent)
        if future.done():  # the caller went away
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(reply)

    def _look(self, again: bool) -> None:
        """Has the oldest command waited too long?"""
        self._timer = None
        times = (waiting[2] for waiting in self._waiting if not isinstance(waiting, _Nobody))
        oldest = next(times, None)
        if oldest is None or self._ended is not None:
            return
        now = self._loop.time()
        if now < oldest + self._timeout:
            self._timer = self._loop.call_at(oldest + self._timeout, self._look, False)
        elif not again:
            self._timer = self._loop.call_at(now + _SECOND_LOOK, self._look, True)
        else:
            self._end(TimeoutError(f"no answer in {self._timeout:g} s"))

    def _end(self, reason: Exception) -> None:
        if self._ended is not None:
            return
        self._ended = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        waiting = [*self._waiting, *(one for queued in self._queued.values() for one in queued)]
        self._waiting.clear()
        self._queues, self._queued = {}, {}
        self._lost(self, reason)  # before anybody wakes up: they must find it gone
        now = self._loop.time()
        for one in waiting:
            if isinstance(one, _Nobody):
                continue
            future, meter, sent = one
            failure = meter.failed(now - sent, reason)
            if not future.done():
                future.set_exception(failure)


# Its type says that it takes a tuple of one.
_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)


def _error_in(reply: Reply) -> Exception | None:
    """Also that of a command within a transaction."""
    if isinstance(reply, Exception):
        return reply
    if isinstance(reply, list):
        return next((one for one in reply if isinstance(one, Exception)), None)
    return None
