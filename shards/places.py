"""Where the copies of a record go: shards by rank, each with a database. Pure but for shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .layout import FIRST_COPIES, FURTHER_COPIES, database_of
from .maps import ShardMap
from .placement import Placement

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Place(Generic[S]):
    """A database of a shard."""

    shard: S
    database: int


class Places(Generic[S]):
    """The places of every record, worked out from the map; `shards` may be more than it names,
    for what is leaving may have records yet."""

    def __init__(self, shards: Mapping[str, S], shard_map: ShardMap) -> None:
        self._placement = Placement(shard_map.names)
        self._copies = shard_map.copies
        self._all = [
            Place(shard, database)
            for shard in shards.values()
            for database in (FIRST_COPIES, FURTHER_COPIES)
        ]
        self._shards = shards
        self._by_ranking: dict[tuple[str, ...], tuple[Place[S], ...]] = {}

    def of(self, record_id: int) -> tuple[Place[S], ...]:
        """Where the record's copies belong, the first owner's first."""
        ranking = self._placement.owners(record_id)
        places = self._by_ranking.get(ranking)
        if places is None:
            places = self._by_ranking[ranking] = tuple(
                Place(self._shards[name], database_of(rank))
                for rank, name in enumerate(ranking[: self._copies])
            )
        return places

    def all(self) -> list[Place[S]]:
        """Every place of every shard, the first copies' before the others'."""
        return sorted(self._all, key=lambda place: place.database)

    def elsewhere(self, record_id: int) -> list[Place[S]]:
        """Every other place: where copies lie that were written under another map."""
        own = self.of(record_id)
        return [place for place in self._all if place not in own]

    def owns(self, name: str, record_id: int) -> int | None:
        """The database of the named shard's copy of the record, None when it keeps none."""
        ranking = self._placement.owners(record_id)[: self._copies]
        return database_of(ranking.index(name)) if name in ranking else None
