"""What lies where on a shard: databases, keys, commands. Pure.

Database 0 holds the records whose first owner the shard is, database 1 the further copies of
others' records: so DBSIZE of database 0, summed over the shards, counts every record once.
Database 2 is housekeeping:

    identity        who this server is: "redis1 4f0c..."; gone when its disk was lost
    peers           hash: the identity of each other shard at the time it had all it must have
    hints:redis2    set of ids: records here that redis2 lacks
    lease           who heals from this shard now; ends by itself
    scan:redis2     "done total" of a copy of everything to redis2, while it runs
    maps            set: the maps by which records here, and there, may have been placed
    writer:2:a,b    somebody writes by that map; ends by itself
    rebalance       who moves records now; ends by itself
    probe           written to see whether writes are taken
"""

from __future__ import annotations

import re

from .records import MAX_ID

FIRST_COPIES = 0
FURTHER_COPIES = 1
HOUSEKEEPING = 2

IDENTITY = b"identity"
PEERS = b"peers"
LEASE = b"lease"
PROBE = b"probe"
MAPS = b"maps"
REBALANCE = b"rebalance"

Argument = bytes | str | int
Command = tuple[Argument, ...]

_KEY = re.compile(rb"d:\{([0-9]{1,16})\}")


def database_of(rank: int) -> int:
    """The database of the copy on the owner of that rank, the first owner's being 0."""
    return FIRST_COPIES if rank == 0 else FURTHER_COPIES


def hints_key(absent: str) -> bytes:
    return b"hints:" + absent.encode()


def writer_key(shard_map: bytes) -> bytes:
    return b"writer:" + shard_map


def scan_key(target: str) -> bytes:
    return b"scan:" + target.encode()


def progress_in(reply: object) -> tuple[int, int] | None:
    """Records looked at, and of how many; None for no copy under way."""
    done, _, total = (reply if isinstance(reply, bytes) else b"").partition(b" ")
    return (int(done), int(total)) if done.isdigit() and total.isdigit() else None


def id_of(key: bytes) -> int | None:
    """The record's id, None for a key that is no record's."""
    found = _KEY.fullmatch(key)
    record_id = int(found[1]) if found else -1
    return record_id if 0 <= record_id <= MAX_ID else None


def set_command(key: bytes, value: bytes, ttl_ms: int) -> Command:
    """Writes a record unless it is there; `ttl_ms` 0: it never expires."""
    if ttl_ms:
        return (b"SET", key, value, b"NX", b"PX", ttl_ms)
    return (b"SET", key, value, b"NX")


def hinted(
    database: int, key: bytes, write: Command, record_id: int, absent: list[str]
) -> list[Command]:
    """One transaction: the record, what is there now, and a hint for each absent owner.

    The second reply is the value that is there.
    """
    hints: list[Command] = [(b"SADD", hints_key(name), record_id) for name in absent]
    return [write, (b"GET", key), (b"SELECT", HOUSEKEEPING), *hints, (b"SELECT", database)]
