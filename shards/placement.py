"""Which shards hold a record. Pure: the same answer in every process, for ever.

Two steps, so that the second can be replaced by Redis Cluster's own map of slots:

1. A record belongs to one of 16384 slots, Redis Cluster's: CRC16 (XMODEM) of the id in decimal.
2. A slot belongs to shards by rendezvous hashing (highest random weight, Thaler and Ravishankar
   1998): every shard draws a number for the slot, the highest owns it, the next is second, and
   so on. A new shard only takes slots over, 1/N of them, and moves none between the others.

A shard is known by its *name*, never by its address: an address changes when a port is moved by
an environment variable, and would take the data's place with it. See `settings.py` for names.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable
from hashlib import blake2b

SLOTS = 16384


def slot_of(record_id: int) -> int:
    """The record's slot, 0..16383; what `CLUSTER KEYSLOT` says of its key."""
    return crc_hqx(b"%d" % record_id, 0) % SLOTS


def weight(slot: int, name: str) -> int:
    """The number, 0..2^64-1, that the named shard draws for the slot."""
    return int.from_bytes(blake2b(f"{slot} {name}".encode(), digest_size=8).digest())


class Placement:
    """The owners of every slot, best first, worked out once (16384 hashes a shard).

    The order of `names` does not matter. Raises ValueError for no name or one given twice.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        if not self.names:
            raise ValueError("a placement needs at least one shard")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"a shard is named twice: {', '.join(self.names)}")
        seen: dict[tuple[str, ...], tuple[str, ...]] = {}  # few rankings, many slots
        self._owners = tuple(
            seen.setdefault(ranking, ranking) for ranking in map(self._ranking, range(SLOTS))
        )

    def owners(self, record_id: int) -> tuple[str, ...]:
        """Every shard's name, the record's first owner first."""
        return self._owners[slot_of(record_id)]

    def _ranking(self, slot: int) -> tuple[str, ...]:
        return tuple(sorted(self.names, key=lambda name: weight(slot, name), reverse=True))
