"""One shard: a connection to one Redis server, each command bounded in time and counted. Edge.

Each shard has its own connection, so a slow one holds up nobody else. A shard that is not there
is *absent*: nothing is sent to it, whoever asks is told at once. One that answers but takes no
writes (full, read-only, cannot write its disk) *refuses*. A probe every 200 ms finds out when
that is over; while all is well there is none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from functools import partial
from typing import Literal, cast, get_args

from monitoring.page import Recorder

from .errors import ShardError, ShardTimeoutError
from .housekeeping import keep_house
from .introduction import introduce
from .layout import FIRST_COPIES, HOUSEKEEPING, PROBE, Command
from .pipeline import Meter, Pipeline, Reply, ReplyError
from .settings import ShardAddress, StoreSettings

# probe: the server is asked about itself, not for a record; heal: copies made good
Op = Literal["get", "set", "probe", "heal"]

_log = logging.getLogger(__name__)
_LOG_EVERY = 10.0  # seconds; a dead shard fails thousands of times, one line says it
_PROBE_EVERY = 0.2  # seconds
_PING: Command = (b"PING",)
_PROBE_WRITE: Command = (b"SET", PROBE, 1, b"PX", 10_000)
_REDIRECTS = ("MOVED", "ASK")  # of a cluster: no failure
_REFUSALS = ("OOM", "READONLY", "MISCONF", "LOADING", "EXECABORT", "NOREPLICAS")


class Shard:
    """The client of one Redis server. Connects when first used; nothing here retries.

    `claim`: we write; a server that has no identity yet is given one, and told our map.
    """

    def __init__(
        self,
        address: ShardAddress,
        settings: StoreSettings,
        recorder: Recorder,
        *,
        claim: bool = True,
    ) -> None:
        self.name = address.name
        self.address = address
        self.absent: ShardError | None
        self.refuses: ShardError | None
        self._settings = settings
        self._writes_by = settings.map if claim else None
        # A node of a cluster has one database, and its key may not be ours to write.
        self._own = FIRST_COPIES if settings.is_cluster else HOUSEKEEPING
        self._probe_command = _PING if settings.is_cluster else _PROBE_WRITE
        self._link: Pipeline | None = None
        self._opening: asyncio.Task[Pipeline] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._takes_writes = recorder.gauge("redis_shard_takes_writes", shard=self.name)
        self._is_known(None, None)
        self._meters = {op: _Meter(recorder, self, op) for op in get_args(Op)}
        self._next_log = 0.0
        self._closed = False

    @property
    def writable(self) -> bool:
        return self.absent is None and self.refuses is None

    def send(self, op: Op, database: int, *commands: Command) -> asyncio.Future[Reply]:
        """The reply to one command, or to several as one transaction, counted as `op`.

        It fails with ShardTimeoutError when the time-out passed first (the command may have been
        carried out) and with ShardError for anything else that is no reply: refused, cut, an
        error reply. Whoever does not want it any more cancels it.
        """
        if self._link is not None:
            return self._link.send(self._meters[op], database, *commands)
        return asyncio.ensure_future(self._connect_and_send(op, database, commands))

    async def execute(self, op: Op, database: int, *commands: Command) -> Reply:
        """As `send`, waited for."""
        return await self.send(op, database, *commands)

    async def keep_house(self, *commands: Command, op: Op = "heal") -> Reply:
        """As `execute`, of what is known of records; a full server does it too."""
        return await keep_house(partial(self.send, op, HOUSEKEEPING), *commands)

    async def close(self) -> None:
        """Close the connection for good; commands on their way fail, and those sent later."""
        self._closed = True
        for task in (self._probing, self._opening):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._probing = self._opening = None
        if self._link is not None:
            self._link.close()

    async def interview(self, *commands: Command) -> list[Reply]:
        """Replies to questions about the server itself, on a connection of their own, to
        whatever answers there, without regard to what is known of it. Raises ShardError."""
        try:
            link = await self._reach()
            try:
                asked = [link.send(self._meters["probe"], self._own, one) for one in commands]
                return await asyncio.gather(*asked)
            finally:
                link.close()
        except OSError as error:
            raise self.failure("probe", error) from error

    def failure(self, op: Op, error: Exception) -> ShardError:
        """What went wrong, in the store's own terms; now and then it is logged. That a probe was
        refused is not: it says what is known."""
        if isinstance(error, ShardError):
            return error
        kind = ShardTimeoutError if isinstance(error, TimeoutError) else ShardError
        failure = kind(self.name, _reason(error))
        if failure.reason.startswith(_REDIRECTS):
            return failure
        refused = isinstance(error, ReplyError) and failure.reason.startswith(_REFUSALS)
        if refused and op in ("set", "heal"):
            if self.refuses is None or not failure.reason.startswith("EXECABORT"):
                # EXECABORT only follows from what was said before
                self._is_known(self.absent, failure)
            self._probe()
        now = time.monotonic()
        if now >= self._next_log and not (op == "probe" and isinstance(error, ReplyError)):
            self._next_log = now + _LOG_EVERY
            _log.warning(
                "shard %s (%s): %s failed: %s", self.name, self.address, op, failure.reason
            )
        return failure

    def _is_known(self, absent: ShardError | None, refuses: ShardError | None) -> None:
        self.absent, self.refuses = absent, refuses
        self._takes_writes.set(self.writable)

    # The connection

    async def _connect_and_send(
        self, op: Op, database: int, commands: tuple[Command, ...]
    ) -> Reply:
        if self.absent is not None:
            raise ShardError(self.name, self.absent.reason)
        started = time.perf_counter()
        try:
            link = await self._connected()
        except (OSError, ShardError) as error:
            raise self._meters[op].failed(time.perf_counter() - started, error) from error
        # On this one and no other: one that ends at once must not be opened over and over.
        return await link.send(self._meters[op], database, *commands)

    async def _connected(self) -> Pipeline:
        """One attempt, however many wait for it."""
        if self._closed:  # else who is told of the end and tries again opens one that nobody ends
            raise ShardError(self.name, "the store was closed")
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Pipeline:
        try:
            link = await self._reach()
            try:
                if not self._settings.is_cluster:
                    await introduce(link, self._meters["probe"], self.name, self._writes_by)
            except BaseException:
                link.close()
                raise
        except (OSError, ShardError) as error:
            self._is_absent(error)
            raise
        finally:
            self._opening = None
        if not link.ended:
            self._link = link
        self._is_known(None, self.refuses)
        return link

    async def _reach(self) -> Pipeline:
        """A connection, with the password given. Raises OSError or ShardError."""
        address, settings = self.address, self._settings
        try:
            async with asyncio.timeout(settings.connect_timeout_seconds):
                _, link = await asyncio.get_running_loop().create_connection(
                    lambda: Pipeline(settings.operation_timeout_seconds, self._lost),
                    address.host,
                    address.port,
                )
        except TimeoutError:
            limit = settings.connect_timeout_seconds
            raise TimeoutError(f"no connection in {limit:g} s") from None
        if address.password is not None:
            user = (address.username,) if address.username else ()
            try:
                await link.send(self._meters["probe"], 0, (b"AUTH", *user, address.password))
            except BaseException:
                link.close()
                raise
        return link

    def _lost(self, link: Pipeline, reason: Exception) -> None:
        if link is not self._link:
            return
        self._link = None
        if isinstance(reason, TimeoutError):
            self._is_absent(reason)

    def _is_absent(self, reason: Exception) -> None:
        kind = ShardTimeoutError if isinstance(reason, TimeoutError) else ShardError
        absent = reason if isinstance(reason, ShardError) else kind(self.name, _reason(reason))
        self._is_known(absent, self.refuses)
        self._probe()

    # The probe

    def _probe(self) -> None:
        if not self._closed and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe_until_well())

    async def _probe_until_well(self) -> None:
        since = time.monotonic()
        while True:
            await asyncio.sleep(_PROBE_EVERY * random.uniform(0.9, 1.1))  # noqa: S311
            try:
                if self._link is None:
                    await self._connected()
                await self.send("probe", self._own, self._probe_command)
            except (OSError, ShardError) as error:
                if self._link is not None:  # it answers
                    self._is_known(None, self.failure("probe", error))
                continue
            self._is_known(None, None)
            self._next_log = 0.0
            _log.info(
                "shard %s (%s) is back after %.1f s",
                self.name, self.address, time.monotonic() - since,
            )  # fmt: skip
            return


class _Meter(Meter):
    """What is counted of one operation on one shard; all at 0 from the start."""

    def __init__(self, recorder: Recorder, shard: Shard, op: Op) -> None:
        self._ok, self._error, self._timeout = (
            recorder.counter("redis_operations_total", shard=shard.name, op=op, result=result)
            for result in ("ok", "error", "timeout")
        )
        self._seconds = recorder.histogram(
            "redis_operation_duration_seconds", shard=shard.name, op=op
        )
        self._shard = shard
        self._op = op

    def succeeded(self, seconds: float) -> None:
        self._ok.inc()
        self._seconds.observe(seconds)

    def failed(self, seconds: float, error: Exception) -> ShardError:
        failure = self._shard.failure(self._op, error)
        (self._timeout if isinstance(failure, ShardTimeoutError) else self._error).inc()
        self._seconds.observe(seconds)
        return failure


def _reason(error: Exception) -> str:
    """A few words a person understands; an error reply begins with its code, such as OOM."""
    number = cast("int | None", getattr(error, "errno", None))
    if number:
        return os.strerror(number).lower()
    return " ".join(str(error).split()) or type(error).__name__
