"""Asking every shard about itself, and the others about what it lacks. Edge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .errors import ShardError
from .introduction import members
from .layout import IDENTITY, MAPS, hints_key, progress_in, scan_key
from .maps import ShardMap, needs_rebalance
from .shard import Shard
from .status import ShardStatus, down, from_info


@dataclass(slots=True)
class _Told:
    """What one shard said: of itself, and by name what it keeps for others."""

    status: ShardStatus
    hints: dict[str, int] = field(default_factory=dict)
    scans: dict[str, tuple[int, int]] = field(default_factory=dict)
    maps: frozenset[bytes] = frozenset()


async def ask_all_about_all(shards: Mapping[str, Shard], mine: ShardMap) -> list[ShardStatus]:
    """In the order of the shards, asked all at once."""
    told = await asyncio.gather(*(_ask(shard, list(shards)) for shard in shards.values()))
    found = []
    for name, own in zip(shards, told, strict=True):
        scans = [one.scans[name] for one in told if name in one.scans]
        found.append(
            replace(
                own.status,
                hints=sum(one.hints.get(name, 0) for one in told),
                scan_done=sum(done for done, _ in scans) if scans else None,
                scan_total=sum(total for _, total in scans) if scans else None,
                rebalance=needs_rebalance(mine, own.maps),
            )
        )
    return found


async def _ask(shard: Shard, names: list[str]) -> _Told:
    try:
        (info,) = await shard.interview((b"INFO",))
    except ShardError as error:
        return _Told(down(shard.address, error.reason))
    told = _Told(from_info(shard.address, info if isinstance(info, bytes) else b""))
    if told.status.state != "up":
        return told
    others = [name for name in names if name != shard.name]
    hints = [(b"SCARD", hints_key(name)) for name in others]
    scans = [(b"GET", scan_key(name)) for name in others]
    try:
        about_it = ((b"GET", IDENTITY), (b"SMEMBERS", MAPS))
        identity, maps, *replies = await shard.interview(*about_it, *hints, *scans)
    except ShardError as error:
        told.status = down(shard.address, error.reason)
        return told
    told.maps = members(maps)
    if isinstance(identity, bytes) and not identity.startswith(shard.name.encode() + b" "):
        known_as = identity.partition(b" ")[0].decode(errors="replace")
        told.status = replace(told.status, state="down", reason=f"this server is {known_as}")
    for name, count, scan in zip(others, replies, replies[len(others) :], strict=False):
        if isinstance(count, int):
            told.hints[name] = count
        if (progress := progress_in(scan)) is not None:
            told.scans[name] = progress
    return told
