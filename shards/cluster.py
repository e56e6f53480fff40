"""The store on a real Redis Cluster: the same interface, the same keys. Edge.

For those who outgrow two shards: the cluster places, copies and fails over by itself; see
cluster_nodes.py for how its nodes are asked. What it does not promise: its masters answer before
their replicas have a write, so a master that is lost takes along what it had acknowledged last
(https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/, "consistency
guarantees"). REPLICATED therefore means here: the one copy that was asked for is on the master.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, cast

from monitoring.page import MetricsPage, Recorder

from .cluster_nodes import NAME, ClusterNodes
from .copying import Lying, as_lying
from .errors import RecordConflictError, ShardError, StoreUnavailableError
from .layout import set_command
from .placement import slot_of
from .records import check_id, check_value, key_of
from .settings import ShardAddress, StoreSettings
from .shard import Op
from .slot_map import Address
from .status import ShardStatus, down, from_info
from .stored import Stored

_RETRY_AFTER = 1.0  # seconds


class ClusterStore:
    """Records on one Redis Cluster; `settings.urls` are some of its nodes. See ShardedStore."""

    def __init__(self, settings: StoreSettings, *, recorder: Recorder | None = None) -> None:
        if not settings.is_cluster:
            raise ValueError("a ClusterStore needs redis+cluster:// URLs")
        if recorder is None:  # counted, but seen by nobody
            recorder = MetricsPage(None, rows=1, columns=512).recorder(0)
        self.settings = settings
        self._nodes = ClusterNodes(settings, recorder)
        self._writes = {
            stored: recorder.counter("store_writes_total", stored=str(stored)) for stored in Stored
        }

    async def open(self) -> None:
        """Ask for the map of the cluster. That nobody answers is no error: it is asked again by
        whoever needs it."""
        await self.sizes()

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        await self._nodes.close()

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
            return await self._get("get", record_id)
        except ShardError as error:
            raise StoreUnavailableError(error.shard, error.reason, _RETRY_AFTER) from error

    async def sizes(self) -> dict[str, int | None]:
        """Records per master, by address; {"cluster": None} when nobody tells of the masters."""
        try:
            masters = await self._nodes.masters()
        except ShardError:
            return {NAME: None}
        sizes = await asyncio.gather(*map(self._size, masters))
        return dict(zip(map(_written, masters), sizes, strict=True))

    async def up(self) -> dict[str, bool]:
        """Which masters answer now."""
        return {name: size is not None for name, size in (await self.sizes()).items()}

    async def status(self) -> list[ShardStatus]:
        """Every master's state as its server reports it."""
        try:
            masters = await self._nodes.masters()
        except ShardError as error:
            return [down(address, error.reason) for address in self.settings.addresses]
        return list(await asyncio.gather(*map(self._status, masters)))

    # For migrations too

    async def keep(self, record_id: int, value: bytes, ttl_ms: int, *, op: Op = "set") -> None:
        """Write a record with a time to live of its own, 0: for ever. Raises ShardError,
        RecordConflictError, and ValueError as `put`."""
        check_id(record_id)
        check_value(value, self.settings.value_limit_bytes)
        command = set_command(key_of(record_id), value, ttl_ms)
        (reply,) = await self._nodes.execute(op, slot_of(record_id), command)
        if reply == b"OK":
            return
        # An earlier try of this write whose reply was lost, or a clash.
        present = await self._get("get", record_id)
        if present is None:
            raise ShardError(NAME, "the record expired while it was written")
        if present != value:
            raise RecordConflictError(record_id, NAME)

    async def lying(self, record_id: int) -> Lying | None:
        """The record with its time to live, None if there is none. Raises ShardError."""
        key = key_of(record_id)
        asked = ((b"GET", key), (b"PTTL", key))
        return as_lying(*await self._nodes.execute("heal", slot_of(record_id), *asked))

    async def records(self) -> int:
        """Of all masters. Raises ShardError when one does not answer."""
        masters = await self._nodes.masters()
        replies = await asyncio.gather(
            *(self._nodes.ask("heal", master, (b"DBSIZE",)) for master in masters)
        )
        return sum(size for (size,) in replies if isinstance(size, int))

    async def scan(self, count: int) -> AsyncIterator[list[bytes]]:
        """Every key, about `count` at a time, some perhaps twice; a slot that moves to another
        master meanwhile may be missed. Raises ShardError."""
        for master in await self._nodes.masters():
            cursor = b"0"
            while True:
                command = (b"SCAN", cursor, b"COUNT", count)
                (reply,) = await self._nodes.ask("heal", master, command)
                cursor, keys = cast("tuple[bytes, list[bytes]]", reply)
                yield keys
                if cursor == b"0":
                    break

    # Inside

    async def _get(self, op: Op, record_id: int) -> bytes | None:
        (value,) = await self._nodes.execute(op, slot_of(record_id), (b"GET", key_of(record_id)))
        return value if isinstance(value, bytes) else None

    async def _size(self, master: Address) -> int | None:
        try:
            (size,) = await self._nodes.ask("probe", master, (b"DBSIZE",))
        except ShardError:
            return None
        return size if isinstance(size, int) else None

    async def _status(self, master: Address) -> ShardStatus:
        host, port = master
        address = ShardAddress(_written(master), host, port)
        try:
            info = await self._nodes.interview(master, (b"INFO",))
        except ShardError as error:
            return down(address, error.reason)
        return from_info(address, info if isinstance(info, bytes) else b"")


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
