"""Bringing records to their places, and only then taking them from where they are not to be. Edge.

For each record, in this order, so that it has never fewer copies than before:

1. every place where it must be and is not gets a copy, with the time to live that is left;
2. every place is read back and holds the same value, for ever or not as before;
3. only then the copy that is not to be here is removed. On a shard that must have it in the other
   database it is moved there by the server, in one step (MOVE).

Step 3 happens on the server only while the rebalance is ours (remove_if_leased): two that move
records by different maps could otherwise each remove what the other has just verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from .copying import Lying, lying
from .errors import ShardError
from .layout import FIRST_COPIES, FURTHER_COPIES, HOUSEKEEPING, set_command
from .places import Place, Places
from .records import key_of
from .scripts import remove_if_leased
from .shard import Shard

ShardPlace = Place[Shard]

_SOON_MS = 60_000  # longer than any batch takes


@dataclass(slots=True)
class Moved:
    """What was done. `conflicts`: ids that two places hold with different values; untouched."""

    looked_at: int = 0  # copies
    copied: int = 0  # copies made on a shard that had none
    switched: int = 0  # copies that changed the database on their shard
    removed: int = 0  # copies taken away from where they are not to be
    conflicts: set[int] = field(default_factory=set)

    @property
    def changes(self) -> int:
        return self.copied + self.switched + self.removed


class LeaseLostError(Exception):
    """Another rebalance has begun meanwhile."""


class Mover:
    """Counts in `moved`. Every method raises ShardError when a shard does not do its part."""

    def __init__(self, places: Places[Shard], token: bytes, moved: Moved) -> None:
        self._places = places
        self._token = token
        self._moved = moved

    async def settle(self, here: ShardPlace, ids: Sequence[int]) -> None:
        """All copies of the records that lie here. Raises LeaseLostError."""
        found = await asyncio.gather(*(lying(here, record_id) for record_id in ids))
        records = {i: one for i, one in zip(ids, found, strict=True) if one is not None}
        misplaced = [i for i in records if here not in self._places.of(i)]
        made = await self._complete(here, records)
        to_read = {*made, *((i, place) for i in misplaced for place in self._away(here, i))}
        good = await self._read_back(to_read, records)
        await self._take_away(here, {i: records[i] for i in misplaced if i in good})
        self._moved.looked_at += len(ids)

    def _away(self, here: ShardPlace, record_id: int) -> list[ShardPlace]:
        """Places on other shards that must have it."""
        return [one for one in self._places.of(record_id) if one.shard is not here.shard]

    async def _complete(
        self, here: ShardPlace, records: Mapping[int, Lying]
    ) -> list[tuple[int, ShardPlace]]:
        """Step 1; where a copy was missing."""
        wanted = [(i, place) for i in records for place in self._away(here, i)]
        there = await asyncio.gather(*(_exists(place, i) for i, place in wanted))
        missing = [one for one, present in zip(wanted, there, strict=True) if not present]
        await asyncio.gather(*(self._make(i, records[i], place) for i, place in missing))
        return missing

    async def _make(self, record_id: int, record: Lying, place: ShardPlace) -> None:
        if await self._switch(record_id, _other(place), place):
            return
        write = set_command(key_of(record_id), record.value, record.ttl_ms)
        if await place.shard.execute("heal", place.database, write) == b"OK":
            self._moved.copied += 1

    async def _switch(self, record_id: int, old: ShardPlace, new: ShardPlace) -> bool:
        """Between the databases of a shard, with its time to live, if the new one has none."""
        move = (b"MOVE", key_of(record_id), new.database)
        switched = await old.shard.execute("heal", old.database, move) == 1
        self._moved.switched += switched
        return switched

    async def _read_back(
        self, places: Collection[tuple[int, ShardPlace]], records: Mapping[int, Lying]
    ) -> set[int]:
        """Step 2; the records that are everywhere as they are here."""
        copies = await asyncio.gather(*(lying(place, i) for i, place in places))
        good = set(records)
        for (record_id, place), copy in zip(places, copies, strict=True):
            if not self._same(record_id, place, copy, records[record_id]):
                good.discard(record_id)
        return good

    def _same(self, record_id: int, at: ShardPlace, copy: Lying | None, record: Lying) -> bool:
        if copy is None:
            if record.ttl_ms == 0 or record.ttl_ms > _SOON_MS:
                raise ShardError(at.shard.name, f"record {record_id} was written and is not there")
            return False  # it expires about now
        if copy.value != record.value or (copy.ttl_ms == 0) != (record.ttl_ms == 0):
            self._moved.conflicts.add(record_id)
            return False
        return True

    async def _take_away(self, here: ShardPlace, records: Mapping[int, Lying]) -> None:
        """Step 3."""
        other = _other(here)
        stays = [i for i in records if other in self._places.of(i)]
        switched = await asyncio.gather(*(self._switch(i, here, other) for i in stays))
        twice = [i for i, done in zip(stays, switched, strict=True) if not done]
        same = await self._read_back([(i, other) for i in twice], {i: records[i] for i in twice})
        goes = [i for i in records if i not in stays or i in same]
        if goes:
            remove = remove_if_leased(self._token, here.database, [*map(key_of, goes)])
            removed = await here.shard.execute("heal", HOUSEKEEPING, remove)
            if removed == -1:
                raise LeaseLostError
            self._moved.removed += removed if isinstance(removed, int) else 0


def _other(place: ShardPlace) -> ShardPlace:
    """The other database of the same shard."""
    database = FURTHER_COPIES if place.database == FIRST_COPIES else FIRST_COPIES
    return Place(place.shard, database)


async def _exists(place: ShardPlace, record_id: int) -> bool:
    exists = (b"EXISTS", key_of(record_id))
    return await place.shard.execute("heal", place.database, exists) == 1
