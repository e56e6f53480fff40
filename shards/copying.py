"""Copying records between two places, with their time to live. Edge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from .layout import set_command
from .places import Place
from .records import key_of
from .shard import Shard


@dataclass(frozen=True, slots=True)
class Lying:
    """A record as it lies somewhere; `ttl_ms` 0: it never expires."""

    value: bytes
    ttl_ms: int


async def copy(ids: Sequence[int], source: Place[Shard], target: Place[Shard]) -> list[int]:
    """Ids of those that the source has and of which the target has said that it has them now.

    May be repeated: what is there stays. Raises ShardError when one of the two does not do it.
    """
    found = await asyncio.gather(*(lying(source, record_id) for record_id in ids))
    writes = {
        record_id: set_command(key_of(record_id), record.value, record.ttl_ms)
        for record_id, record in zip(ids, found, strict=True)
        if record is not None
    }
    await asyncio.gather(
        *(target.shard.execute("heal", target.database, command) for command in writes.values())
    )
    return list(writes)


async def lying(place: Place[Shard], record_id: int) -> Lying | None:
    """The record as it lies there, None if it does not. Raises ShardError.

    Two commands and no transaction: a full server refuses even one that only reads.
    """
    key = key_of(record_id)
    value, ttl_ms = await asyncio.gather(
        place.shard.send("heal", place.database, (b"GET", key)),
        place.shard.send("heal", place.database, (b"PTTL", key)),
    )
    return as_lying(value, ttl_ms)


def as_lying(value: object, ttl_ms: object) -> Lying | None:
    """Of the replies to GET and PTTL; -2: it expired in between, -1: it never does."""
    if isinstance(value, bytes) and isinstance(ttl_ms, int) and ttl_ms != -2:
        return Lying(value, 0 if ttl_ms == -1 else max(ttl_ms, 1))
    return None
