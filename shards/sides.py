"""What a migration reads from and writes to: plain shards or a Redis Cluster. Edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from monitoring.page import MetricsPage

from .cluster import ClusterStore
from .copying import Lying, lying
from .errors import ShardError
from .layout import FIRST_COPIES, FURTHER_COPIES, id_of
from .places import Place, Places
from .settings import StoreSettings
from .shard import Shard
from .writing import write

_SCAN_COUNT = 500


class Side(Protocol):
    """Every method raises ShardError when a server does not do it."""

    async def size(self) -> int:
        """Copies that `batches` will bring, about."""

    def batches(self) -> AsyncIterator[dict[int, Lying]]:
        """Every record at least once, and some, of which there are copies, several times."""

    async def keep(self, records: Mapping[int, Lying]) -> None:
        """Write all copies of each; one that is there stays. Raises RecordConflictError."""

    async def copies(self, ids: Iterable[int]) -> dict[int, list[Lying | None]]:
        """Each copy that there must be of each record, None where it is missing."""

    async def close(self) -> None: ...


def side_of(settings: StoreSettings, *, claim: bool) -> Side:
    """`claim`: plain servers without an identity are given one, as whoever writes does."""
    return ClusterSide(settings) if settings.is_cluster else ShardsSide(settings, claim=claim)


class ShardsSide:
    """Plain shards."""

    def __init__(self, settings: StoreSettings, *, claim: bool) -> None:
        recorder = MetricsPage(None, rows=1, columns=160 * len(settings.urls) + 64).recorder(0)
        self._shards = {
            address.name: Shard(address, settings, recorder, claim=claim)
            for address in settings.addresses
        }
        self._places = Places(self._shards, settings.map)

    async def size(self) -> int:
        asked = (
            shard.execute("heal", database, (b"DBSIZE",))
            for database in (FIRST_COPIES, FURTHER_COPIES)
            for shard in self._shards.values()
        )
        return sum(size for size in await asyncio.gather(*asked) if isinstance(size, int))

    async def batches(self) -> AsyncIterator[dict[int, Lying]]:
        for database in (FIRST_COPIES, FURTHER_COPIES):
            for shard in self._shards.values():
                cursor: object = b"0"
                while True:
                    scan = (b"SCAN", _bytes(cursor), b"COUNT", _SCAN_COUNT)
                    cursor, keys = _list(await shard.execute("heal", database, scan))
                    place = Place(shard, database)
                    ids = _ids(keys)
                    found = await asyncio.gather(*(lying(place, record_id) for record_id in ids))
                    yield _present(ids, found)
                    if cursor == b"0":
                        break

    async def keep(self, records: Mapping[int, Lying]) -> None:
        await asyncio.gather(*(self._keep(i, record) for i, record in records.items()))

    async def _keep(self, record_id: int, record: Lying) -> None:
        places = self._places.of(record_id)
        done = await write(places, record_id, record.value, record.ttl_ms)
        for place in places:
            if place.shard.name not in done:
                known = place.shard.absent or place.shard.refuses
                raise known or ShardError(place.shard.name, "did not take a record")

    async def copies(self, ids: Iterable[int]) -> dict[int, list[Lying | None]]:
        async def of(record_id: int) -> list[Lying | None]:
            places = self._places.of(record_id)
            return list(await asyncio.gather(*(lying(place, record_id) for place in places)))

        ids = list(ids)
        return dict(zip(ids, await asyncio.gather(*map(of, ids)), strict=True))

    async def close(self) -> None:
        await asyncio.gather(*(shard.close() for shard in self._shards.values()))


class ClusterSide:
    """A Redis Cluster, by its masters."""

    def __init__(self, settings: StoreSettings) -> None:
        self._store = ClusterStore(settings)

    async def size(self) -> int:
        return await self._store.records()

    async def batches(self) -> AsyncIterator[dict[int, Lying]]:
        async for keys in self._store.scan(_SCAN_COUNT):
            ids = _ids(keys)
            yield _present(ids, await asyncio.gather(*map(self._store.lying, ids)))

    async def keep(self, records: Mapping[int, Lying]) -> None:
        await asyncio.gather(
            *(
                self._store.keep(i, record.value, record.ttl_ms, op="heal")
                for i, record in records.items()
            )
        )

    async def copies(self, ids: Iterable[int]) -> dict[int, list[Lying | None]]:
        ids = list(ids)
        found = await asyncio.gather(*map(self._store.lying, ids))
        return {record_id: [copy] for record_id, copy in zip(ids, found, strict=True)}

    async def close(self) -> None:
        await self._store.close()


def _present(ids: Sequence[int], found: Iterable[Lying | None]) -> dict[int, Lying]:
    return {i: record for i, record in zip(ids, found, strict=True) if record is not None}


def _ids(keys: object) -> list[int]:
    return [i for i in map(id_of, map(_bytes, _list(keys))) if i is not None]


def _list(reply: object) -> list[Any]:
    return reply if isinstance(reply, list) else []


def _bytes(reply: object) -> bytes:
    return reply if isinstance(reply, bytes) else b""
