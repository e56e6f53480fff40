"""Where the product's records lie, seen from outside: keys, databases, values. Edge.

The one place that knows it, and knows it independently of the product: record 1234 lies under the
key `d:{1234}`, as JSON `{"data": ...}`, on one shard or more, in whatever logical databases have
keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import redis

from .answers import digest
from .stack import SHARDS, DrillStack

BATCH = 500


def key_of(record_id: int) -> str:
    return f"d:{{{record_id}}}"


def digest_of(value: bytes) -> str:
    """Of the data that a stored value holds; "" when it is no record."""
    try:
        return digest(json.loads(value)["data"])
    except (ValueError, KeyError, TypeError):
        return ""


def copies_of(stack: DrillStack, ids: Sequence[int]) -> dict[int, list[str]]:
    """Id -> digest of each copy found, of all shards and databases. A shard that does not answer
    has none."""
    copies: dict[int, list[str]] = {record_id: [] for record_id in ids}
    for shard in SHARDS:
        for database in _databases(stack, shard):
            for record_id, value in _read(stack.redis(shard, database=database), ids):
                copies[record_id].append(digest_of(value))
    return copies


def _databases(stack: DrillStack, shard: str) -> list[int]:
    try:
        keyspace = stack.redis(shard).info("keyspace")
    except redis.RedisError:
        return []
    return [int(name.removeprefix("db")) for name in keyspace]


def _read(client: redis.Redis, ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        for record_id, value in zip(batch, client.mget(map(key_of, batch)), strict=True):
            if value is not None:
                yield record_id, value if isinstance(value, bytes) else value.encode()
