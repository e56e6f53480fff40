"""The store on a real Redis Cluster: the same interface, the same keys. Edge.

For those who outgrow two shards: the cluster places, copies and fails over by itself, by
redis-py's RedisCluster. What it does not promise: its masters answer before their replicas have
a write, so a master that is lost takes along what it had acknowledged last
(https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/, "consistency
guarantees"). REPLICATED therefore means here: the one copy that was asked for is on the master.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from monitoring.page import MetricsPage, Recorder

from .errors import RecordConflictError, ShardError, ShardTimeoutError, StoreUnavailableError
from .records import check_id, check_value, key_of
from .settings import ShardAddress, StoreSettings
from .status import ShardStatus, down, from_info
from .stored import Stored

T = TypeVar("T")
Op = Literal["get", "set", "probe", "heal"]

NAME = "cluster"  # in metrics and errors: a key's node is the cluster's own business
_RETRY_AFTER = 1.0  # seconds
_AT_ONCE = 64  # commands under way; each takes a connection of its own


class ClusterStore:
    """Records on one Redis Cluster; `settings.urls` are some of its nodes. See ShardedStore."""

    def __init__(self, settings: StoreSettings, *, recorder: Recorder | None = None) -> None:
        if not settings.is_cluster:
            raise ValueError("a ClusterStore needs redis+cluster:// URLs")
        if recorder is None:  # counted, but seen by nobody
            recorder = MetricsPage(None, rows=1, columns=512).recorder(0)
        self.settings = settings
        self._client: RedisCluster | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._meters = {op: _Meter(recorder, op) for op in get_args(Op)}
        self._writes = {
            stored: recorder.counter("store_writes_total", stored=str(stored)) for stored in Stored
        }

    async def open(self) -> None:
        """Ask for the map of the cluster. That nobody answers is no error: it is asked again by
        whoever needs it."""
        await self.sizes()

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def put(self, record_id: int, value: bytes) -> Stored:
        """As ShardedStore.put; a failing cluster is NONE."""
        ttl_ms = round(self.settings.ttl_seconds * 1000)
        try:
            await self.keep(record_id, value, ttl_ms)
            stored = Stored.REPLICATED
        except ShardError:
            stored = Stored.NONE
        self._writes[stored].inc()
        return stored

    async def get(self, record_id: int) -> bytes | None:
        """As ShardedStore.get. None: the slot's master of now has none."""
        check_id(record_id)
        try:
            value: bytes | None = await self.execute("get", "GET", key_of(record_id))
        except ShardError as error:
            raise StoreUnavailableError(error.shard, error.reason, _RETRY_AFTER) from error
        return value

    async def sizes(self) -> dict[str, int | None]:
        """Records per master, by address; {"cluster": None} when nobody tells of the masters."""
        try:
            masters = await self.masters()
        except ShardError:
            return {NAME: None}
        sizes = await asyncio.gather(*map(self._size, masters))
        return {str(node.name): size for node, size in zip(masters, sizes, strict=True)}

    async def up(self) -> dict[str, bool]:
        """Which masters answer now."""
        return {name: size is not None for name, size in (await self.sizes()).items()}

    async def status(self) -> list[ShardStatus]:
        """Every master's state as its server reports it."""
        try:
            masters = await self.masters()
        except ShardError as error:
            return [down(address, error.reason) for address in self.settings.addresses]
        return list(await asyncio.gather(*map(self._status, masters)))

    # For migrations too

    async def keep(self, record_id: int, value: bytes, ttl_ms: int) -> None:
        """Write a record with a time to live of its own, 0: for ever. Raises ShardError,
        RecordConflictError, and ValueError as `put`."""
        check_id(record_id)
        check_value(value, self.settings.value_limit_bytes)
        key = key_of(record_id)
        expiry: tuple[str | int, ...] = ("PX", ttl_ms) if ttl_ms else ()
        if await self.execute("set", "SET", key, value, "NX", *expiry) is not None:
            return
        # An earlier try of this write whose reply was lost, or a clash.
        present = await self.execute("get", "GET", key)
        if present is None:
            raise ShardError(NAME, "the record expired while it was written")
        if present != value:
            raise RecordConflictError(record_id, NAME)

    async def masters(self) -> list[ClusterNode]:
        """The masters as the map has them. Raises ShardError."""
        client = self._connected()
        await self._bounded("probe", client.initialize())
        return list(client.get_primaries())

    async def execute(self, op: Op, *arguments: Any, node: ClusterNode | None = None) -> Any:
        """The reply to one command, of the node that has its key or of the one given. Raises
        ShardError; whether the command was done is then not known."""
        where: dict[str, Any] = {} if node is None else {"target_nodes": node}
        return await self._bounded(op, self._connected().execute_command(*arguments, **where))

    # Inside

    def _connected(self) -> RedisCluster:
        if self._client is None:
            settings, addresses = self.settings, self.settings.addresses
            self._client = RedisCluster(
                startup_nodes=[ClusterNode(one.host, one.port) for one in addresses],
                username=addresses[0].username,
                password=addresses[0].password,
                require_full_coverage=False,  # what is there is served
                retry=Retry(NoBackoff(), 1),  # once, by the new map
                socket_connect_timeout=settings.connect_timeout_seconds,
                socket_timeout=settings.operation_timeout_seconds,
                max_connections=2 * _AT_ONCE,
            )
        return self._client

    async def _bounded(self, op: Op, work: Coroutine[Any, Any, T]) -> T:
        """The work goes on when its caller does not: it may be learning the new map, and its
        reply is read to the end, so that nobody else gets it. Its sockets' time-outs end it."""
        task = asyncio.create_task(self._one_of_few(work))
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        started = time.perf_counter()
        failure: ShardError | None = None
        try:
            async with asyncio.timeout(self.settings.operation_timeout_seconds):
                return await asyncio.shield(task)
        except TimeoutError as error:
            limit = self.settings.operation_timeout_seconds
            failure = ShardTimeoutError(NAME, f"no answer in {limit:g} s")
            raise failure from error
        except (RedisError, RedisClusterException, OSError) as error:
            failure = ShardError(NAME, " ".join(str(error).split()) or type(error).__name__)
            raise failure from error
        finally:
            self._meters[op].count(time.perf_counter() - started, failure)

    async def _one_of_few(self, work: Coroutine[Any, Any, T]) -> T:
        """Who waits for its turn longer than its caller does is given up: nothing piles up."""
        try:
            async with asyncio.timeout(self.settings.operation_timeout_seconds):
                await self._places.acquire()
        except BaseException:
            work.close()  # it never began
            raise
        try:
            return await work
        finally:
            self._places.release()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # its caller has gone: nobody else looks

    async def _size(self, node: ClusterNode) -> int | None:
        try:
            size = await self.execute("probe", "DBSIZE", node=node)
        except ShardError:
            return None
        return size if isinstance(size, int) else None

    async def _status(self, node: ClusterNode) -> ShardStatus:
        address = ShardAddress(str(node.name), str(node.host), int(node.port))
        try:
            connection_info = await self.execute("probe", "INFO", node=node)
        except ShardError as error:
            return down(address, error.reason)
        return from_info(address, _text_of(connection_info))


class _Meter:
    """What is counted of one operation; all at 0 from the start."""

    def __init__(self, recorder: Recorder, op: Op) -> None:
        self._ok, self._error, self._timeout = (
            recorder.counter("redis_operations_total", shard=NAME, op=op, result=result)
            for result in ("ok", "error", "timeout")
        )
        self._seconds = recorder.histogram("redis_operation_duration_seconds", shard=NAME, op=op)

    def count(self, seconds: float, failure: ShardError | None) -> None:
        if failure is None:
            self._ok.inc()
        elif isinstance(failure, ShardTimeoutError):
            self._timeout.inc()
        else:
            self._error.inc()
        self._seconds.observe(seconds)


def _text_of(info: object) -> bytes:
    """INFO again as the server wrote it, which redis-py has parsed."""
    if isinstance(info, bytes):
        return info
    fields = info.items() if isinstance(info, dict) else ()
    return "\r\n".join(f"{name}:{_value_of(value)}" for name, value in fields).encode()


def _value_of(value: object) -> object:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
