"""Copying everything that a shard must have to it, from one of the others. Edge.

For a shard that lost its disk. Cut short, it begins anew: what is there already stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from monitoring.page import Counter

from .copying import copy
from .errors import ShardError
from .layout import FIRST_COPIES, FURTHER_COPIES, HOUSEKEEPING, id_of, scan_key
from .lease import Lease
from .pipeline import Reply
from .places import Place, Places
from .shard import Shard

_log = logging.getLogger(__name__)
_BATCH = 50  # records; a shard that copies them answers others a fraction of a millisecond later
_SCAN_COUNT = 200  # keys Redis looks at in one SCAN
_PROGRESS_MS = 30_000
_LOG_EVERY = 5.0  # seconds

Told = Callable[[int, int], None]  # records looked at, of how many


class Refill:
    """From one source to one target. `made` counts copies, `told` hears of the progress."""

    def __init__(
        self, source: Shard, target: Shard, places: Places[Shard], made: Counter, told: Told
    ) -> None:
        self._source = source
        self._target = target
        self._places = places
        self._made = made
        self._told = told
        self._done = self._total = 0
        self._next_log = 0.0

    async def run(self, lease: Lease, seconds_each: float) -> int:
        """Number of records looked at. Raises ShardError when it could not be finished, or the
        lease was lost."""
        source = self._source
        self._total = await size(source)
        self._next_log = asyncio.get_running_loop().time() + _LOG_EVERY
        for database in (FIRST_COPIES, FURTHER_COPIES):
            cursor: Reply = b"0"
            while True:
                await self._go_on(lease)
                scan = (b"SCAN", as_bytes(cursor), b"COUNT", _SCAN_COUNT)
                cursor, keys = as_list(await source.execute("heal", database, scan))
                await self._copy(map(as_bytes, as_list(keys)), database, lease, seconds_each)
                if cursor == b"0":
                    break
        await source.execute("heal", HOUSEKEEPING, (b"DEL", scan_key(self._target.name)))
        return self._done

    async def _go_on(self, lease: Lease) -> None:
        if not await lease.take(self._source):
            raise ShardError(self._source.name, "another process heals")
        await self._say()

    async def _copy(
        self, keys: Iterable[bytes], database: int, lease: Lease, seconds_each: float
    ) -> None:
        loop = asyncio.get_running_loop()
        ids = [i for i in map(id_of, keys) if i is not None]
        wanted = [i for i in ids if self._places.owns(self._target.name, i) is not None]
        at_once = batch(seconds_each)
        for start in range(0, len(wanted), at_once):
            if start:
                await self._go_on(lease)
            begun = loop.time()
            part = wanted[start : start + at_once]
            made = await copy_home(part, self._source, self._target, self._places, (database,))
            self._made.inc(len(made))
            await asyncio.sleep(max(0.0, begun + len(part) * seconds_each - loop.time()))
        self._done += len(ids)

    async def _say(self) -> None:
        """To whoever asks the source, to the metrics, and now and then to the log."""
        total = max(self._done, self._total)  # records are written meanwhile
        progress = (b"SET", scan_key(self._target.name), f"{self._done} {total}")
        await self._source.keep_house((*progress, b"PX", _PROGRESS_MS))
        self._told(self._done, total)
        now = asyncio.get_running_loop().time()
        if now >= self._next_log:
            self._next_log = now + _LOG_EVERY
            _log.info(
                "copying to %s from %s: %d of %d records looked at",
                self._target.name, self._source.name, self._done, total,
            )  # fmt: skip


def batch(seconds_each: float) -> int:
    """Records to do at once, in a second at most: a lease is taken anew for each batch."""
    return max(1, min(_BATCH, int(1 / seconds_each)))


async def copy_home(
    ids: Sequence[int],
    source: Shard,
    target: Shard,
    places: Places[Shard],
    databases: tuple[int, ...],
) -> list[int]:
    """Copies from wherever in the source they lie to where they belong in the target; those that
    there were. Raises ShardError."""
    by_place: dict[int, list[int]] = {}
    for record_id in ids:
        database = places.owns(target.name, record_id)
        if database is not None:
            by_place.setdefault(database, []).append(record_id)
    made: list[int] = []
    for database, part in by_place.items():
        for origin in databases:
            made += await copy(part, Place(source, origin), Place(target, database))
    return made


async def size(shard: Shard) -> int:
    """Copies on the shard. Raises ShardError."""
    sizes = [
        await shard.execute("heal", database, (b"DBSIZE",))
        for database in (FIRST_COPIES, FURTHER_COPIES)
    ]
    return sum(one for one in sizes if isinstance(one, int))


def as_list(reply: Reply) -> list[Reply]:
    return reply if isinstance(reply, list) else []


def as_bytes(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else b""
