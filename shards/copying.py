"""Copying records between two places, with their time to live. Edge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .layout import set_command
from .places import Place
from .records import key_of
from .shard import Shard


async def copy(ids: Sequence[int], source: Place[Shard], target: Place[Shard]) -> list[int]:
    """Ids of those that the source has and of which the target has said that it has them now.

    May be repeated: what is there stays. Raises ShardError when one of the two does not do it.
    """
    keys = {record_id: key_of(record_id) for record_id in ids}
    read = await asyncio.gather(
        *(
            source.shard.execute("heal", source.database, (b"GET", key), (b"PTTL", key))
            for key in keys.values()
        )
    )
    writes = {}
    for (record_id, key), reply in zip(keys.items(), read, strict=True):
        if isinstance(reply, list) and isinstance(reply[0], bytes) and isinstance(reply[1], int):
            ttl_ms = 0 if reply[1] == -1 else max(reply[1], 1)  # -1: it never expires
            writes[record_id] = set_command(key, reply[0], ttl_ms)
    await asyncio.gather(
        *(target.shard.execute("heal", target.database, command) for command in writes.values())
    )
    return list(writes)
