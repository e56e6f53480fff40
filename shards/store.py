"""The store: every record on the shard that owns it. Edge."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from types import TracebackType
from typing import Self, cast

from monitoring.page import MetricsPage, Recorder

from .errors import RecordConflictError, ShardError, StoreUnavailableError
from .placement import Placement
from .records import check_id, check_value, key_of
from .settings import StoreSettings
from .shard import Shard
from .status import ShardStatus, down, from_info

_RETRY_AFTER = 1.0  # seconds; supervisord brings a dead server back in about that time


class Stored(StrEnum):
    """What is true of a record when `put` returns."""

    REPLICATED = "replicated"  # every copy asked for exists
    DEGRADED = "degraded"  # fewer copies than asked for; needs more than one
    NONE = "none"  # no copy is known to exist


class ShardedStore:
    """Records on several Redis servers; see the package for an example.

    A shard that is dead is an outcome, not an exception, for writes; for reads it is
    StoreUnavailableError, and only when that shard is the one that must know.
    """

    def __init__(self, settings: StoreSettings, *, recorder: Recorder | None = None) -> None:
        if recorder is None:  # counted, but seen by nobody
            columns = 64 * len(settings.addresses)
            recorder = MetricsPage(None, rows=1, columns=columns).recorder(0)
        self.settings = settings
        self._shards = {
            address.name: Shard(address, settings, recorder) for address in settings.addresses
        }
        self._placement = Placement(self._shards)
        self._expiry: tuple[str | int, ...] = (
            ("PX", round(settings.ttl_seconds * 1000)) if settings.ttl_seconds else ()
        )

    async def open(self) -> None:
        """Connect to every shard at once. One that does not answer is logged, and tried again
        with every operation."""
        await self.sizes()

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        await asyncio.gather(*(shard.close() for shard in self._shards.values()))

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
        """Write a new record. REPLICATED only if the server has said so.

        A write that timed out is NONE though it may have happened; writing the same record again
        is safe and then finds it. Raises RecordConflictError when the id holds another value,
        and ValueError, before anything is sent, for a bad id or a value over the limit.
        """
        check_id(record_id)
        check_value(value, self.settings.value_limit_bytes)
        key = key_of(record_id)
        shard = self._owner(record_id)
        try:
            reply = await shard.execute("set", "SET", key, value, "NX", *self._expiry)
            if reply == b"OK":
                return Stored.REPLICATED
            # The id exists already: an earlier try of this write whose reply was lost, or a clash.
            existing = await shard.execute("get", "GET", key)
        except ShardError:
            return Stored.NONE
        if existing == value:
            return Stored.REPLICATED
        if existing is None:  # it expired in between
            return Stored.NONE
        raise RecordConflictError(record_id, shard.name)

    async def get(self, record_id: int) -> bytes | None:
        """The record's value; None only when it is certain that there is none.

        Raises StoreUnavailableError when the shard that must know does not answer, ValueError for
        a bad id.
        """
        check_id(record_id)
        shard = self._owner(record_id)
        try:
            value = await shard.execute("get", "GET", key_of(record_id))
        except ShardError as error:
            raise StoreUnavailableError(shard.name, error.reason, _RETRY_AFTER) from error
        return cast("bytes | None", value)

    async def sizes(self) -> dict[str, int | None]:
        """Records per shard, asked of all at once; None for a shard that does not answer."""
        return dict(
            zip(self._shards, await asyncio.gather(*map(_size, self._shards.values())), strict=True)
        )

    async def up(self) -> dict[str, bool]:
        """Which shards answer now; one that is still loading its data does not."""
        return {name: size is not None for name, size in (await self.sizes()).items()}

    async def status(self) -> list[ShardStatus]:
        """Every shard's state as its server reports it, asked of all at once."""
        return list(await asyncio.gather(*map(_status, self._shards.values())))

    def _owner(self, record_id: int) -> Shard:
        return self._shards[self._placement.owners(record_id)[0]]


async def _size(shard: Shard) -> int | None:
    try:
        size = await shard.execute("probe", "DBSIZE")
    except ShardError:
        return None
    return size if isinstance(size, int) else None


async def _status(shard: Shard) -> ShardStatus:
    try:
        info = await shard.execute("probe", "INFO")
    except ShardError as error:
        return down(shard.address, error.reason)
    return from_info(shard.address, info if isinstance(info, bytes) else b"")
