"""The store: every record on the shards that own it. Edge.

The invariant: *acknowledged (REPLICATED or DEGRADED) implies that both copies exist, or one copy
and, on the same shard, a hint naming the other.* A shard that lost its disk is the one thing no
hint tells of: the other one knows it by its identity (healer.py). So any one shard may be lost at
any moment, with its disk. Held to under random faults by tests/unit/test_shards_model.py, on
simulated time, and by tests/wire/test_shards_faults.py, on real servers.

"There is none" is said when every owner says so, and no shard beside them may have it from the
time of another map: each was asked, or the shards are certain that there is nothing (maps.py).
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, get_args

from monitoring.page import MetricsPage, Recorder

from .announcing import announce_for_ever
from .copying import copy
from .errors import ShardError, StoreUnavailableError
from .healer import Healer
from .interview import ask_all_about_all
from .layout import FIRST_COPIES
from .maps import certain, strangers
from .places import Places
from .reading import Found, ShardPlace, ask_all, ask_in_turn, ask_maps
from .records import check_id, check_value, key_of
from .settings import StoreSettings
from .shard import Op, Shard
from .status import ShardStatus
from .stored import Stored
from .writing import write

_RETRY_AFTER = 1.0  # seconds; supervisord brings a dead server back in about that time
_MOST_REPAIRS = 64  # at the same time; what is left out is found again by the next reader


class ShardedStore:
    """Records on several Redis servers; see the package for an example.

    A shard that is dead is an outcome, not an exception, for writes; for reads it is
    StoreUnavailableError, and only when no other shard has the record.

    `claim`: servers without an identity are given one; off for whoever only looks.
    """

    def __init__(
        self, settings: StoreSettings, *, recorder: Recorder | None = None, claim: bool = True
    ) -> None:
        if settings.is_cluster:
            raise ValueError("a redis+cluster:// store is a ClusterStore: see shards.store_for")
        if recorder is None:  # counted, but seen by nobody
            columns = 40 * len(settings.addresses) * len(get_args(Op)) + 64
            recorder = MetricsPage(None, rows=1, columns=columns).recorder(0)
        self.settings = settings
        self._shards = {
            address.name: Shard(address, settings, recorder, claim=claim)
            for address in settings.addresses
        }
        self._places = Places(self._shards, settings.map)
        self._ttl_ms = round(settings.ttl_seconds * 1000)
        self._writes = {
            stored: recorder.counter("store_writes_total", stored=str(stored)) for stored in Stored
        }
        self._repaired = recorder.counter("store_copies_made_total", why="read")
        self._repairs: set[asyncio.Task[None]] = set()
        self._healer = Healer(self._shards, self._places, settings, recorder)
        self._claim = claim
        self._background: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connect to every shard at once, and begin to make good what copies are missing. A shard
        that does not answer is logged, and tried again every 200 ms."""
        await self.sizes()
        if not self._background and self._claim:
            work = [announce_for_ever(self._shards.values(), self.settings.map)]
            if len(self._shards) > 1:
                work.append(self._healer.run())
            self._background = list(map(asyncio.create_task, work))

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        tasks = [*self._repairs, *self._background]
        self._background = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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
        """Write a new record. REPLICATED and DEGRADED only if servers have said so.

        A write that timed out everywhere is NONE though it may have happened; writing the same
        record again is safe and then finds it. Raises RecordConflictError when the id holds
        another value, and ValueError, before anything is sent, for a bad id or a value over the
        limit.
        """
        check_id(record_id)
        check_value(value, self.settings.value_limit_bytes)
        places = self._places.of(record_id)
        done = await write(places, record_id, value, self._ttl_ms)
        if len(done) == len(places):
            stored = Stored.REPLICATED
        else:
            stored = Stored.DEGRADED if done else Stored.NONE
        self._writes[stored].inc()
        return stored

    async def get(self, record_id: int) -> bytes | None:
        """The record's value; None only when it is certain that there is none.

        Raises StoreUnavailableError when a shard that may know does not answer, ValueError for
        a bad id.
        """
        check_id(record_id)
        key, places = key_of(record_id), self._places.of(record_id)
        found = await ask_in_turn(places, key, self.settings.hedge_seconds)
        if found.value is None:
            found = await self._look_everywhere(record_id, found)
        if found.value is None:
            if found.failures:
                error = found.failures[0]
                raise StoreUnavailableError(error.shard, error.reason, _RETRY_AFTER) from error
            return None
        if found.without and found.at is not None:
            self._repair(record_id, found.at, found.without)
        return found.value

    async def sizes(self) -> dict[str, int | None]:
        """Records per shard, asked of all at once; None for a shard that does not answer. A
        record counts once, at its first owner."""
        return dict(
            zip(self._shards, await asyncio.gather(*map(_size, self._shards.values())), strict=True)
        )

    async def up(self) -> dict[str, bool]:
        """Which shards answer now; one that is still loading its data does not."""
        return {name: size is not None for name, size in (await self.sizes()).items()}

    async def status(self) -> list[ShardStatus]:
        """Every shard's state as its server reports it, asked of all at once."""
        return await ask_all_about_all(self._shards, self.settings.map)

    async def _look_everywhere(self, record_id: int, owners: Found) -> Found:
        """Beyond the owners, for what was written when the map was another. A record is on its
        way from there to its owners only, so these are asked again last; and before that, what
        maps there have been: what a finished rebalance has moved is there then."""
        key, places = key_of(record_id), self._places.of(record_id)
        found, told = await asyncio.gather(
            ask_all(self._places.elsewhere(record_id), key), ask_maps(self._shards.values())
        )
        if found.value is not None:
            found.without = owners.without
            return found
        again = await ask_all(places, key)
        owners_told = all(place.shard.name in told for place in places)
        if not owners_told or not certain(self.settings.map, told.values()):
            again.failures += found.failures
        for name in strangers(self._shards, told.values()):
            again.failures.append(ShardError(name, "may have it, and is not among STORE_URL"))
        return again

    def _repair(self, record_id: int, source: ShardPlace, targets: list[ShardPlace]) -> None:
        if len(self._repairs) >= _MOST_REPAIRS:
            return

        async def repair() -> None:
            for target in targets:
                if target.shard.writable:
                    try:
                        self._repaired.inc(len(await copy([record_id], source, target)))
                    except ShardError:
                        continue  # said by the shard; the hint or the next reader makes it good

        task = asyncio.create_task(repair())
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)


async def _size(shard: Shard) -> int | None:
    try:
        size = await shard.execute("probe", FIRST_COPIES, (b"DBSIZE",))
    except ShardError:
        return None
    return size if isinstance(size, int) else None
