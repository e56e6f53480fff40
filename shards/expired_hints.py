"""Hints of a shard that stays away must not outlive the records they name. Edge.

Looks at some of them at random, as Redis itself does for keys that have expired, and goes on while
it finds many: so about a quarter may be left, however many records were written meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .layout import HOUSEKEEPING, hints_key
from .lease import Lease
from .refilling import as_bytes, as_list
from .scripts import forget_expired
from .shard import Shard

_SAMPLE = 200
_MANY = 0.25  # of a sample: https://redis.io/docs/latest/commands/expire/, "active" way
_LOOKS_PER_COPY = 10  # a look is that much cheaper than a copy


async def forget_expired_hints(
    source: Shard, target: str, lease: Lease, seconds_each: float
) -> int:
    """How many were forgotten; `seconds_each`: what a copy may take. Raises ShardError."""
    sample, forgotten = (b"SRANDMEMBER", hints_key(target), _SAMPLE), 0
    while await lease.take(source):
        found = as_list(await source.execute("heal", HOUSEKEEPING, sample))
        ids = [int(as_bytes(one)) for one in found]
        gone = await forget(source, target, ids)
        forgotten += gone
        if gone < _SAMPLE * _MANY:
            await lease.end(source)
            break
        await asyncio.sleep(len(ids) * seconds_each / _LOOKS_PER_COPY)
    return forgotten


async def forget(source: Shard, target: str, ids: Sequence[int]) -> int:
    """Those of which there is no record any more: one that is written again at this moment comes
    with a hint of its own, which must stay. How many there were. Raises ShardError."""
    if not ids:
        return 0
    reply = await source.execute("heal", HOUSEKEEPING, forget_expired(target, ids))
    return reply if isinstance(reply, int) else 0
