"""One shard: connections to one Redis server, each command bounded in time and counted. Edge.

Each shard has its own connections and its own queue for them, so a slow one holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from typing import Any, Literal, cast, get_args

from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig

from monitoring.page import Recorder

from .errors import ShardError, ShardTimeoutError
from .settings import ShardAddress, StoreSettings

Op = Literal["get", "set", "probe"]  # probe: the server is asked about itself, not for a record
Reply = bytes | int | None | list["Reply"]

_log = logging.getLogger(__name__)
_ERRNO = re.compile(r"Error (\d+) (?:connecting|while)")  # how redis-py words an OSError
_LOG_EVERY = 10.0  # seconds; a dead shard fails thousands of times, one line says it


class Shard:
    """The client of one Redis server. Connects when first used; nothing here retries."""

    def __init__(self, address: ShardAddress, settings: StoreSettings, recorder: Recorder) -> None:
        self.name = address.name
        self.address = address
        self._timeout = settings.operation_timeout_seconds
        self._pool = _pool(address, settings)
        # First come, first served. redis-py's BlockingConnectionPool is not: with 32 callers on
        # 16 connections some waited for 250 ms although a command took 40 us.
        self._turns = asyncio.Semaphore(settings.connections)
        self._meters = {op: _Meter(recorder, self.name, op) for op in get_args(Op)}
        self._next_log = 0.0

    async def execute(self, op: Op, *command: bytes | str | int) -> Reply:
        """The server's reply to one command, counted as `op`.

        Raises ShardTimeoutError when the time-out passed first (the command may have been carried
        out) and ShardError for anything else that is no reply: refused, cut, an error reply.
        A cancelled caller counts as nothing.
        """
        meter = self._meters[op]
        started = time.perf_counter()
        try:
            reply = await self._exchange(command)
        except (RedisError, OSError) as error:
            failure = self._failed(op, error)
            (meter.timeout if isinstance(failure, ShardTimeoutError) else meter.error).inc()
            meter.seconds.observe(time.perf_counter() - started)
            raise failure from error
        meter.ok.inc()
        meter.seconds.observe(time.perf_counter() - started)
        return reply

    async def close(self) -> None:
        """Close every connection; commands on their way fail."""
        await self._pool.aclose()

    async def _exchange(self, command: tuple[bytes | str | int, ...]) -> Reply:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        connection = await self._send(command, deadline)
        try:
            # redis-py's own read time-out, which drops the connection: the late reply must
            # never be taken for the next command's. A cancelled read drops it too.
            connection.socket_timeout = max(deadline - loop.time(), 0.001)
            return cast("Reply", await connection.read_response())
        finally:
            await self._give_back(connection)

    async def _send(self, command: tuple[bytes | str | int, ...], deadline: float) -> Connection:
        """The connection on which the command was sent. Raises TimeoutError at the deadline.

        Cutting this short is harmless: no reply is awaited yet, and a connection cut while
        writing is dropped by redis-py.
        """
        async with asyncio.timeout_at(deadline):
            await self._turns.acquire()
            try:
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            except BaseException:
                self._turns.release()
                raise
            try:
                connection.socket_timeout = None  # bounded above; a number costs a task a write
                await connection.send_command(*command, check_health=False)
            except BaseException:
                await self._give_back(connection)
                raise
        return cast("Connection", connection)

    async def _give_back(self, connection: Connection) -> None:
        try:
            await self._pool.release(connection)
        finally:
            self._turns.release()

    def _failed(self, op: Op, error: Exception) -> ShardError:
        """The failure in the store's own terms; now and then it is logged."""
        failure: ShardError
        if isinstance(error, TimeoutError | RedisTimeoutError):
            failure = ShardTimeoutError(
                self.name, str(error) or f"no answer in {self._timeout:g} s"
            )
        else:
            failure = ShardError(self.name, _reason(error))
        now = time.monotonic()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY
            _log.warning(
                "shard %s (%s): %s failed: %s", self.name, self.address, op, failure.reason
            )
        return failure


class _Meter:
    """What is counted of one operation on one shard; all at 0 from the start."""

    def __init__(self, recorder: Recorder, shard: str, op: str) -> None:
        self.ok, self.error, self.timeout = (
            recorder.counter("redis_operations_total", shard=shard, op=op, result=result)
            for result in ("ok", "error", "timeout")
        )
        self.seconds = recorder.histogram("redis_operation_duration_seconds", shard=shard, op=op)


class _Connection(Connection):
    """A connection that knows when it was reset while it was idle, and takes no farewell.

    redis-py looks for an orderly end only; it would write to a reset one, which loses that
    operation and, on uvloop, raises a RuntimeError that is no Redis error. It waits for the end
    of a connection it closes, and lets the operation fail that only wanted a new one when this
    takes long ("Timed out closing connection after 0.1").
    """

    async def disconnect(self, nowait: bool = False, *why: Any, **reason: Any) -> None:
        """What is closed has nothing left to say: every reply was read, or nobody wants it."""
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(True, *why, **reason)

    async def can_read(self) -> bool:
        """True for anything but a quiet, open connection: the pool then opens a new one."""
        reset = self._reader is not None and self._reader.exception() is not None
        return reset or bool(await super().can_read())


def _pool(address: ShardAddress, settings: StoreSettings) -> ConnectionPool:
    return ConnectionPool(
        _Connection,
        max_connections=settings.connections,
        host=address.host,
        port=address.port,
        username=address.username,
        password=address.password,
        socket_connect_timeout=settings.connect_timeout_seconds,
        socket_timeout=settings.operation_timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        # RESP2 and no client information: no round trip before a new connection's first command.
        protocol=2,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


def _reason(error: Exception) -> str:
    """A few words a person understands; an error reply with its code, such as OOM or LOADING."""
    text = " ".join(str(error).split()) or type(error).__name__
    if found := _ERRNO.match(text):
        return os.strerror(int(found[1])).lower()
    code = getattr(error, "status_code", None)
    return f"{code} {text}" if code else text
