"""Many GETs at once over many connections, each bounded in time. Edge."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .answers import Failure, Reply
from .connection import Connection

TIMEOUT = 10.0  # seconds from when a request was due; longer than anything the product may take
SWEEP = 0.05  # seconds between looks for requests whose time is over

Done = Callable[[Reply], None]


@dataclass(slots=True, eq=False)
class _Exchange:
    due: float
    head: bytes
    fresh: bool
    done: Done | None
    waiting: bool = False
    connection: Connection | None = None


class Client:
    """GETs from one address; at most `limit` requests on their way, the rest wait their turn.

    A request that waits for its turn is not forgiven: its time runs from `due` too.
    """

    def __init__(self, host: str, port: int, *, limit: int, timeout: float = TIMEOUT) -> None:
        self._address = (host, port)
        self._limit = limit
        self._timeout = timeout
        self._idle: deque[Connection] = deque()
        self._waiting: deque[_Exchange] = deque()
        self._open: deque[_Exchange] = deque()  # in the order in which they were due
        self._busy = 0
        self._missing = 0
        self._none_missing = asyncio.Event()
        self._none_missing.set()
        self._connecting: set[asyncio.Task[None]] = set()

    def get(
        self, path: str, request_id: str, done: Done, *, due: float | None = None,
        fresh: bool = False,
    ) -> None:  # fmt: skip
        """Ask for a path; `fresh` is a connection of its own, closed afterwards."""
        host, port = self._address
        close = "Connection: close\r\n" if fresh else ""
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-Request-Id: {request_id}\r\n"
            f"{close}\r\n"
        )
        due = time.monotonic() if due is None else due
        exchange = _Exchange(due, head.encode(), fresh, done)
        self._open.append(exchange)
        self._missing += 1
        self._none_missing.clear()
        if self._busy < self._limit:
            self._start(exchange)
        else:
            exchange.waiting = True
            self._waiting.append(exchange)

    def oldest_due(self) -> float | None:
        """When the oldest request still without an answer was due."""
        while self._open and self._open[0].done is None:
            self._open.popleft()
        return self._open[0].due if self._open else None

    async def all_answered(self) -> None:
        await self._none_missing.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Client]:
        """Time-outs are kept inside; leaving closes every connection."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield self
        finally:
            sweeping.cancel()
            for task in self._connecting:
                task.cancel()
            for exchange in self._open:
                if exchange.connection is not None:
                    exchange.connection.close()
            for connection in self._idle:
                connection.close()
            await asyncio.sleep(0)

    def _start(self, exchange: _Exchange) -> None:
        self._busy += 1
        exchange.waiting = False
        while self._idle and not exchange.fresh:
            connection = self._idle.popleft()
            if connection.usable:
                self._send(connection, exchange)
                return
        task = asyncio.create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: _Exchange) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._address
        try:
            _transport, connection = await loop.create_connection(
                lambda: Connection(self._idle.append), host, port
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            self._finish(exchange, Reply(failure="connect", reason=reason.lower()))
            return
        if exchange.done is None:  # its time was over meanwhile
            self._idle.append(connection)
        else:
            self._send(connection, exchange)

    def _send(self, connection: Connection, exchange: _Exchange) -> None:
        exchange.connection = connection
        connection.get(exchange.head, lambda reply: self._finish(exchange, reply))

    def _finish(self, exchange: _Exchange, reply: Reply) -> None:
        done, exchange.done, exchange.connection = exchange.done, None, None
        if done is None:
            return
        self._busy -= 1
        done(reply)
        self._missing -= 1
        if not self._missing:
            self._none_missing.set()
        while self._waiting and self._busy < self._limit:
            waiting = self._waiting.popleft()
            if waiting.done is not None:
                self._start(waiting)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            limit = time.monotonic() - self._timeout
            late: list[_Exchange] = []
            while (oldest := self.oldest_due()) is not None and oldest < limit:
                late.append(self._open.popleft())
            for exchange in reversed(late):  # those that wait first, or they would get a turn yet
                self._give_up(exchange)

    def _give_up(self, exchange: _Exchange) -> None:
        failure: Failure = "timeout"
        reason = f"no answer in {self._timeout:g} s"
        if exchange.connection is not None:
            exchange.connection.give_up(failure, reason)
        elif exchange.waiting:
            self._busy += 1  # it never had a turn, and gives back what it did not have
            self._finish(exchange, Reply(failure=failure, reason=f"not sent: {reason}"))
        else:  # still connecting
            self._finish(exchange, Reply(failure=failure, reason=f"no connection: {reason}"))
