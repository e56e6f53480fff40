"""Whole answers: a request in, status, fields and body out, all in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from .answer import AnswerHead, BadAnswerError
from .connection import Connection
from .pool import Origin, Pool


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    head: AnswerHead
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    def get(self, name: bytes) -> bytes | None:
        """The first field of a name in lower case."""
        return self.head.get(name)


class AnswerCutError(ConnectionError):
    """The connection ended in the middle of the answer's body."""


class _Whole:
    """The receiver of one answer."""

    __slots__ = ("_body", "_connection", "_head", "_limit", "_size", "future", "method")

    def __init__(
        self, method: bytes, limit: int, connection: Connection, future: asyncio.Future[Answer]
    ) -> None:
        self.method = method
        self.future = future
        self._limit = limit
        self._connection = connection
        self._head: AnswerHead | None = None
        self._body: list[bytes] = []
        self._size = 0

    def answer_head(self, head: AnswerHead) -> None:
        self._head = head
        if head.body_end == "length" and (head.length or 0) > self._limit:
            self._too_large()

    def answer_body(self, data: bytes) -> None:
        self._body.append(data)
        self._size += len(data)
        if self._size > self._limit:
            self._too_large()

    def answer_end(self) -> None:
        self._connection.release()
        if not self.future.done() and self._head is not None:
            self.future.set_result(Answer(self._head, b"".join(self._body)))

    def answer_failed(self, why: str, *, protocol: bool) -> None:
        error: Exception
        if protocol:
            error = BadAnswerError(why)
        else:
            error = AnswerCutError(why) if self._head is not None else ConnectionError(why)
        self._fail(error)

    def answer_flush(self) -> None:
        """Nothing is passed on before the end."""

    def request_paused(self, paused: bool) -> None:
        """Requests have no body."""

    def _too_large(self) -> None:
        self._connection.close()
        self._fail(BadAnswerError(f"the body is larger than {self._limit} bytes"))

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Client:
    """Asks one server, on at most `connections` connections; who comes when all are in use waits
    in line.

    Nothing is asked twice, no redirect is followed, no cookie kept, no body unpacked.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        connections: int = 256,
        idle_seconds: float = 15.0,
        body_limit: int = 1 << 20,
    ) -> None:
        self.pool = Pool(origin, idle_seconds)
        self._limit = body_limit
        self._free = connections
        self._waiting: deque[asyncio.Future[None]] = deque()
        default = 443 if origin.tls else 80
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        self._host = (host if origin.port == default else f"{host}:{origin.port}").encode()

    async def get(self, target: bytes, fields: bytes = b"") -> Answer:
        """One request. Cancel it when nobody waits any more: its connection is closed then.

        Args:
            target: path and query, as sent.
            fields: more header lines, each ended by CR LF; the caller answers for what is in them.

        Raises:
            ConnectionError, OSError: no connection, or none any more (AnswerCutError: after the
                head had come).
            BadAnswerError: what came is no answer, or one that is too large.
        """
        if not self._free:
            await self._in_line()
        self._free -= 1
        try:
            connection = self.pool.take() or await self.pool.connect()
            if connection.is_closing:
                raise ConnectionError("closed as soon as it was open")
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            receiver = _Whole(b"GET", self._limit, connection, future)
            connection.send(
                receiver, b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, self._host, fields)
            )
            try:
                return await future
            except asyncio.CancelledError:
                if connection.receiver is receiver:  # else it is another's already
                    connection.close()
                raise
        finally:
            self._free += 1
            self._next_in_line()

    async def close(self) -> None:
        self.pool.close()

    async def _in_line(self) -> None:
        while not self._free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next_in_line()  # the turn was ours, and somebody else may have it
                raise

    def _next_in_line(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
