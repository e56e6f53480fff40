"""Making good the copies that are missing, one process of the box at a time. Edge.

Two ways to know what a shard (the target) lacks, both kept on the shards that have it (the
sources), so nothing is forgotten when a process dies:

- hints: `hints:<target>` on the source names records written while the target was absent; an id
  is taken out after the target has said that it has the record;
- the target's identity, which it keeps beside its data: the source remembers whom it knew under
  that name (`peers`). Another identity means another disk: everything the target must have is
  copied by a scan, and the new identity is remembered after that.

Everything may be cut short and repeated. A lease on the source keeps others from doing the same
work; if it fails, work is done twice, not wrong.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Mapping, Sequence

from monitoring.page import Recorder

from .copying import copy
from .errors import ShardError
from .layout import (
    FIRST_COPIES,
    FURTHER_COPIES,
    HOUSEKEEPING,
    IDENTITY,
    LEASE,
    PEERS,
    hints_key,
    id_of,
    scan_key,
)
from .pipeline import Reply
from .places import Place, Places
from .settings import StoreSettings
from .shard import Shard

_log = logging.getLogger(__name__)
_EVERY = 1.0  # seconds between two looks
_BATCH = 50  # records; a shard that copies them answers others a fraction of a millisecond later
_LEASE_MS = 5000
_SCAN_COUNT = 200  # keys Redis looks at in one SCAN


class Healer:
    """Looks once a second whether a copy is missing. A failing shard ends a turn, no more."""

    def __init__(
        self,
        shards: Mapping[str, Shard],
        places: Places[Shard],
        settings: StoreSettings,
        recorder: Recorder,
    ) -> None:
        self._shards = shards
        self._places = places
        self._seconds_each = 1.0 / settings.heal_records_per_second
        self._token = secrets.token_hex(8).encode()
        self._hints = {name: recorder.gauge("store_hints", shard=name) for name in shards}
        self._made = {
            why: recorder.counter("store_copies_made_total", why=why) for why in ("hint", "scan")
        }

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_EVERY * random.uniform(0.5, 1.5))  # noqa: S311
            await self.look()

    async def look(self) -> None:
        """One turn over all sources."""
        hints = dict.fromkeys(self._shards, 0)
        for source in self._shards.values():
            if source.absent is not None:
                continue
            try:
                for target, count in (await self._heal_from(source)).items():
                    hints[target] += count
            except ShardError as error:
                _log.info("healing from %s stopped: %s", source.name, error.reason)
        for name, count in hints.items():
            self._hints[name].set(count)

    async def _heal_from(self, source: Shard) -> dict[str, int]:
        """Does what is to be done; the number of hints left on the source, by target."""
        others = [shard for shard in self._shards.values() if shard is not source]
        peers = _pairs(await source.execute("heal", HOUSEKEEPING, (b"HGETALL", PEERS)))
        left: dict[str, int] = {}
        for target in others:
            count = await source.execute("heal", HOUSEKEEPING, (b"SCARD", hints_key(target.name)))
            left[target.name] = count if isinstance(count, int) else 0
            if not target.writable:
                continue
            identity = await self._identity(target)
            if identity is None:
                continue
            known = peers.get(target.name.encode())
            if known is None:
                new = (b"HSETNX", PEERS, target.name, identity)
                await source.execute("heal", HOUSEKEEPING, new)
            lost = known is not None and known != identity
            if (left[target.name] or lost) and await self._leased(source):
                left[target.name] -= await self._drain(source, target)
                if lost:
                    await self._copy_everything(source, target)
                    new = (b"HSET", PEERS, target.name, identity)
                    await source.execute("heal", HOUSEKEEPING, new)
                await source.execute("heal", HOUSEKEEPING, (b"DEL", LEASE))
        return left

    async def _identity(self, shard: Shard) -> bytes | None:
        """Asked each time: a shard may be emptied while connections to it live."""
        identity = await shard.execute("heal", HOUSEKEEPING, (b"GET", IDENTITY))
        if isinstance(identity, bytes):
            return identity
        mine = f"{shard.name} {secrets.token_hex(8)}"
        await shard.execute("heal", HOUSEKEEPING, (b"SET", IDENTITY, mine, b"NX"))
        return None  # known at the next turn

    async def _leased(self, source: Shard) -> bool:
        """Whether the work is ours for the next five seconds."""
        taken = await source.execute(
            "heal", HOUSEKEEPING, (b"SET", LEASE, self._token, b"NX", b"PX", _LEASE_MS)
        )
        if taken == b"OK":
            return True
        holder = await source.execute("heal", HOUSEKEEPING, (b"GET", LEASE))
        if holder != self._token:
            return False
        await source.execute("heal", HOUSEKEEPING, (b"PEXPIRE", LEASE, _LEASE_MS))
        return True

    async def _drain(self, source: Shard, target: Shard) -> int:
        """Copies what the hints name, until none is left; how many hints are done with."""
        key, done, started = hints_key(target.name), 0, time.monotonic()
        while await self._leased(source):
            members = await source.execute("heal", HOUSEKEEPING, (b"SRANDMEMBER", key, _BATCH))
            names = [name for name in _list(members) if isinstance(name, bytes)]
            if not names:
                break
            begun = time.monotonic()
            ids = [int(name) for name in names]
            made = await self._copy(ids, source, target, (FIRST_COPIES, FURTHER_COPIES))
            self._made["hint"].inc(made)
            # Those without a record here have expired.
            await source.execute("heal", HOUSEKEEPING, (b"SREM", key, *names))
            done += len(names)
            await self._pace(begun, len(names))
        if done:
            _log.info(
                "%s has got %d records it missed, from %s, in %.1f s",
                target.name, done, source.name, time.monotonic() - started,
            )  # fmt: skip
        return done

    async def _copy_everything(self, source: Shard, target: Shard) -> None:
        """Raises ShardError when it could not be finished, or the lease was lost."""
        progress = scan_key(target.name)
        done, total, started = 0, await self._size(source), time.monotonic()
        _log.info("%s has lost its disk: copying from %s", target.name, source.name)
        for database in (FIRST_COPIES, FURTHER_COPIES):
            cursor: Reply = b"0"
            while True:
                if not await self._leased(source):
                    raise ShardError(source.name, "another process heals")
                begun = time.monotonic()
                scan = (b"SCAN", _bytes(cursor), b"COUNT", _SCAN_COUNT)
                cursor, keys = _list(await source.execute("heal", database, scan))
                done += len(_list(keys))
                ids = [i for i in map(id_of, map(_bytes, _list(keys))) if i is not None]
                wanted = [i for i in ids if self._places.owns(target.name, i) is not None]
                for start in range(0, len(wanted), _BATCH):
                    part = wanted[start : start + _BATCH]
                    self._made["scan"].inc(await self._copy(part, source, target, (database,)))
                    await self._pace(begun, len(part))
                    begun = time.monotonic()
                said = f"{done} {max(done, total)}"
                await source.execute(
                    "heal", HOUSEKEEPING, (b"SET", progress, said, b"PX", 6 * _LEASE_MS)
                )
                if cursor == b"0":
                    break
        await source.execute("heal", HOUSEKEEPING, (b"DEL", progress))
        _log.info(
            "%s has got all it must have from %s: %d records looked at in %.1f s",
            target.name, source.name, done, time.monotonic() - started,
        )  # fmt: skip

    async def _copy(
        self, ids: Sequence[int], source: Shard, target: Shard, databases: tuple[int, ...]
    ) -> int:
        """Copies from wherever in the source they lie to where they belong in the target."""
        by_place: dict[int, list[int]] = {}
        for record_id in ids:
            database = self._places.owns(target.name, record_id)
            if database is not None:
                by_place.setdefault(database, []).append(record_id)
        made = 0
        for database, part in by_place.items():
            for origin in databases:
                copied = await copy(part, Place(source, origin), Place(target, database))
                made += len(copied)
        return made

    async def _size(self, shard: Shard) -> int:
        sizes = [
            await shard.execute("heal", database, (b"DBSIZE",))
            for database in (FIRST_COPIES, FURTHER_COPIES)
        ]
        return sum(size for size in sizes if isinstance(size, int))

    async def _pace(self, begun: float, records: int) -> None:
        await asyncio.sleep(max(0.0, begun + records * self._seconds_each - time.monotonic()))


def _list(reply: Reply) -> list[Reply]:
    return reply if isinstance(reply, list) else []


def _bytes(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else b""


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    flat = [_bytes(one) for one in _list(reply)]
    return dict(zip(flat[::2], flat[1::2], strict=True))
