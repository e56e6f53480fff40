"""Finding a record: the first owner, and the next when it is slow, absent or has none. Edge."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .errors import ShardError
from .introduction import members
from .layout import HOUSEKEEPING, MAPS
from .pipeline import Reply
from .places import Place
from .shard import Shard

ShardPlace = Place[Shard]


@dataclass(slots=True)
class Found:
    """What asking some places brought."""

    value: bytes | None = None
    at: ShardPlace | None = None
    without: list[ShardPlace] = field(default_factory=list)  # they say they have none
    failures: list[ShardError] = field(default_factory=list)


async def ask_in_turn(places: Iterable[ShardPlace], key: bytes, hedge: float) -> Found:
    """Asks the first place; the next one when that fails, has none, or is silent for `hedge`
    seconds, and so on. The first value wins."""
    found = Found()
    left = deque(places)
    waiting: dict[asyncio.Future[Reply], ShardPlace] = {}
    try:
        while left or waiting:
            if left:
                place = left.popleft()
                if place.shard.absent is not None:
                    found.failures.append(place.shard.absent)
                    continue
                waiting[place.shard.send("get", place.database, (b"GET", key))] = place
            await _any(waiting, hedge if left else None)
            if _settle(waiting, found):
                return found
        return found
    finally:
        for future in waiting:
            future.cancel()


async def ask_all(places: Iterable[ShardPlace], key: bytes) -> Found:
    """Asks every place at once and waits for all, unless one has it."""
    return await ask_in_turn(places, key, 0.0)


async def ask_maps(shards: Iterable[Shard]) -> dict[str, frozenset[bytes]]:
    """By name, the maps that each shard keeps which answers; see maps.py."""
    asked = {
        shard.name: shard.send("probe", HOUSEKEEPING, (b"SMEMBERS", MAPS))
        for shard in shards
        if shard.absent is None
    }
    replies = await asyncio.gather(*asked.values(), return_exceptions=True)
    return {
        name: members(reply)
        for name, reply in zip(asked, replies, strict=True)
        if not isinstance(reply, BaseException)
    }


def _settle(waiting: dict[asyncio.Future[Reply], ShardPlace], found: Found) -> bool:
    """Takes the answers that have come; whether there is a value among them."""
    for future in [future for future in waiting if future.done()]:
        place = waiting.pop(future)
        try:
            value = future.result()
        except ShardError as error:
            found.failures.append(error)
            continue
        if isinstance(value, bytes):
            found.value, found.at = value, place
            return True
        found.without.append(place)
    return False


async def _any(waiting: Iterable[asyncio.Future[Reply]], seconds: float | None) -> None:
    """Until one of them is done, or the time is over. As `asyncio.wait`, which costs more than
    the read itself."""
    futures = tuple(waiting)
    if not futures or any(future.done() for future in futures):
        return
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    wake: Callable[[object], None] = lambda _: None if woken.done() else woken.set_result(None)  # noqa: E731
    timer = None if seconds is None else loop.call_later(seconds, wake, None)
    for future in futures:
        future.add_done_callback(wake)
    try:
        await woken
    finally:
        if timer is not None:
            timer.cancel()
        for future in futures:
            future.remove_done_callback(wake)
