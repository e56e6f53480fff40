"""By which shards, and in how many copies, records are placed: the map; and what it takes to be
certain that no record lies where another map put it. Pure.

Every shard keeps the maps by which records may have been placed (`maps` in layout.py):

- whoever writes adds its own map to a shard before it writes there;
- a shard that is new or lost its disk begins with UNSURE beside it, for it cannot know what the
  others have; the healer takes that away when all shards know of no other map and each has had
  from the others what it must have;
- a rebalance takes away all other maps when it has found every record in its place, and nobody
  writes by them any more.

So a shard that names one map and nothing else has every record which that map gives it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

UNSURE = b"?"
UNKNOWN = b"unknown"  # of a shard that was used before maps were kept


@dataclass(frozen=True, slots=True)
class ShardMap:
    """`names` are sorted: the order of shards does not matter."""

    copies: int
    names: tuple[str, ...]

    def __bytes__(self) -> bytes:
        return f"{self.copies}:{','.join(self.names)}".encode()

    def __str__(self) -> str:
        return f"{', '.join(self.names)} ({self.copies} {'copy' if self.copies == 1 else 'copies'})"


def parse_map(text: bytes) -> ShardMap | None:
    """None for what is no map: UNSURE, UNKNOWN."""
    copies, colon, names = text.decode(errors="replace").partition(":")
    if not colon or not copies.isdecimal() or not names:
        return None
    return ShardMap(int(copies), tuple(names.split(",")))


def certain(mine: ShardMap, told: Iterable[Collection[bytes]]) -> bool:
    """Whether shards which keep these maps have all that my map gives them."""
    return all(set(maps) == {bytes(mine)} for maps in told)


def strangers(known: Collection[str], told: Iterable[Collection[bytes]]) -> list[str]:
    """Names of shards that may hold records and are not among those known."""
    maps = filter(None, (parse_map(text) for maps in told for text in maps))
    return sorted({name for one in maps for name in one.names} - set(known))


def needs_rebalance(mine: ShardMap, maps: Collection[bytes]) -> bool:
    """Whether a shard that keeps these maps may have records where another map put them."""
    return bool(set(maps) - {UNSURE, bytes(mine)})
