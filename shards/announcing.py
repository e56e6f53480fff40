"""Saying every second by which map we write, to every shard. Edge.

A rebalance waits until nobody writes by another map than its own. Said apart from healing, which
may take minutes in one turn.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from .errors import ShardError
from .introduction import announcement, members
from .layout import HOUSEKEEPING, MAPS
from .maps import ShardMap
from .shard import Shard

_EVERY = 1.0  # seconds


async def announce_for_ever(shards: Iterable[Shard], writes_by: ShardMap) -> None:
    shards = tuple(shards)
    while True:
        await asyncio.sleep(_EVERY * random.uniform(0.5, 1.5))  # noqa: S311
        await asyncio.gather(
            *(_announce(shard, writes_by) for shard in shards if shard.absent is None)
        )


async def _announce(shard: Shard, writes_by: ShardMap) -> None:
    try:
        told = members(await shard.execute("probe", HOUSEKEEPING, (b"SMEMBERS", MAPS)))
        if told:  # else it was emptied under us, and the healer gives it an identity first
            await shard.keep_house(*announcement(writes_by, told), op="probe")
    except ShardError:
        pass  # counted and logged by the shard; what is absent is told when it comes back
