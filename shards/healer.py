"""Making good the copies that are missing, one process of the box at a time. Edge.

Two ways to know what a shard (the target) lacks, both kept on the shards that have it (the
sources), so nothing is forgotten when a process dies:

- hints: `hints:<target>` on the source names records written while the target was absent; an id
  is taken out after the target has said that it has the record. When the map has changed and the
  target is no owner any more, hints for those who are take its place, in one step;
- the target's identity, which it keeps beside its data: the source remembers whom it knew under
  that name (`peers`). Another identity means another disk: everything the target must have is
  copied by a scan, and the new identity is remembered after that.

A target that is not known yet gets everything too if it had its part in every map that records
here may have been placed by: it may have lost its disk before anybody met it. A shard that was
added later gets what it must have by a rebalance.

Everything may be cut short and repeated. A lease on the source keeps others from doing the same
work; if it fails, work is done twice, not wrong.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping

from monitoring.page import Recorder

from .errors import ShardError
from .expired_hints import forget, forget_expired_hints
from .heal_progress import HealProgress
from .introduction import christening, members
from .layout import (
    FIRST_COPIES,
    FURTHER_COPIES,
    HOUSEKEEPING,
    IDENTITY,
    LEASE,
    MAPS,
    PEERS,
    hints_key,
    progress_in,
    scan_key,
)
from .lease import Lease
from .maps import UNSURE, parse_map
from .pipeline import Reply
from .places import Places
from .refilling import Refill, as_bytes, as_list, batch, copy_home
from .scripts import hinted_anew, sure_if
from .settings import StoreSettings
from .shard import Shard

_log = logging.getLogger(__name__)
_EVERY = 1.0  # seconds between two looks
_LEASE_SECONDS = 5.0


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
        self._map = settings.map
        self._seconds_each = 1.0 / settings.heal_records_per_second
        self._lease = Lease(LEASE, _LEASE_SECONDS)
        self._progress = HealProgress(shards, recorder)
        self._met: dict[str, set[bytes]] = {}  # in this turn: identities that have everything
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
        well = True  # every source knows every target, and has done for it what was to be done
        self._met = {}
        for source in self._shards.values():
            if source.absent is not None:
                well = False
                continue
            try:
                well = await self._heal_from(source) and well
            except ShardError as error:
                well = False
                _log.info("healing from %s stopped: %s", source.name, error.reason)
            except Exception:  # noqa: BLE001  it must not end healing, unseen, until the next start
                well = False
                _log.exception("healing from %s ended by an error of its own", source.name)
        if well:
            try:
                await self._be_sure()
            except ShardError as error:
                _log.info("looking at the maps stopped: %s", error.reason)

    async def _heal_from(self, source: Shard) -> bool:
        """Does what is to be done; whether every target has what it must have from here."""
        replies = await asyncio.gather(
            source.execute("heal", HOUSEKEEPING, (b"HGETALL", PEERS)),
            source.execute("heal", HOUSEKEEPING, (b"SMEMBERS", MAPS)),
        )
        peers, maps = _pairs(replies[0]), members(replies[1])
        well = True
        for target in self._shards.values():
            if target is not source:
                known = peers.get(target.name.encode())
                well = await self._heal(source, target, known, maps) and well
        return well

    async def _heal(
        self, source: Shard, target: Shard, known: bytes | None, maps: frozenset[bytes]
    ) -> bool:
        hints, scan = await asyncio.gather(
            source.execute("heal", HOUSEKEEPING, (b"SCARD", hints_key(target.name))),
            source.execute("heal", HOUSEKEEPING, (b"GET", scan_key(target.name))),
        )
        left = hints if isinstance(hints, int) else 0
        self._progress.hints(source, target, left)
        self._progress.scan(source, target, *(progress_in(scan) or (0, 0)))
        if target.address.leaving:
            return not left or (
                await self._lease.take(source) and await self._drain(source, target)
            )
        if not target.writable:
            if left:
                each = self._seconds_each
                gone = await forget_expired_hints(source, target.name, self._lease, each)
                self._progress.drained(source, target, gone)
            return False
        identity = await self._identity(target)
        if identity is None:
            return False
        lost = known != identity
        if known is None and not _always_there(target.name, maps):
            new = (b"HSETNX", PEERS, target.name, identity)
            await source.keep_house(new)
            lost = False
        to_do = (known, identity) if lost else None
        if (left or lost) and not await self._make_good(source, target, to_do):
            return False
        self._met.setdefault(target.name, set()).add(identity)
        return True

    async def _make_good(
        self, source: Shard, target: Shard, lost: tuple[bytes | None, bytes] | None
    ) -> bool:
        """The hints, and everything if it `lost` its disk: its identities as known and now.
        False: another process does it."""
        if not await self._lease.take(source) or not await self._drain(source, target):
            return False
        if lost is not None:
            known, identity = lost
            await self._refill(source, target, known)
            await source.keep_house((b"HSET", PEERS, target.name, identity))
        await self._lease.end(source)
        return True

    async def _identity(self, shard: Shard) -> bytes | None:
        """Asked each time: a shard may be emptied while connections to it live."""
        identity = await shard.execute("heal", HOUSEKEEPING, (b"GET", IDENTITY))
        if isinstance(identity, bytes):
            return identity
        await shard.keep_house(*christening(shard.name, self._map))
        return None  # known at the next turn

    async def _drain(self, source: Shard, target: Shard) -> bool:
        """Copies what the hints name until none is left; False: another process does it."""
        loop = asyncio.get_running_loop()
        key, done, started = hints_key(target.name), 0, loop.time()
        at_once = batch(self._seconds_each)
        while True:
            if not await self._lease.take(source):
                return False
            found = await source.execute("heal", HOUSEKEEPING, (b"SRANDMEMBER", key, at_once))
            names = [name for name in as_list(found) if isinstance(name, bytes)]
            if not names:
                break
            begun = loop.time()
            ids = [int(name) for name in names]
            home = [i for i in ids if self._places.owns(target.name, i) is not None]
            await self._hint_anew(source, target, [i for i in ids if i not in home])
            if home:
                databases = (FIRST_COPIES, FURTHER_COPIES)
                made = await copy_home(home, source, target, self._places, databases)
                self._made["hint"].inc(len(made))
                if made:
                    await source.execute("heal", HOUSEKEEPING, (b"SREM", key, *made))
                await forget(source, target.name, [i for i in home if i not in made])
            done += len(names)
            self._progress.drained(source, target, len(names))
            wait = begun + len(names) * self._seconds_each - loop.time()
            await asyncio.sleep(max(0.0, wait))
        if done:
            _log.info(
                "%s has got %d records it missed, from %s, in %.1f s",
                target.name, done, source.name, loop.time() - started,
            )  # fmt: skip
        return True

    async def _hint_anew(self, source: Shard, target: Shard, ids: list[int]) -> None:
        """For records of which the target is no owner any more."""
        moves = [
            (i, [place.shard.name for place in self._places.of(i) if place.shard is not source])
            for i in ids
        ]
        if moves:
            await source.keep_house(*hinted_anew(hints_key(target.name), moves))

    async def _refill(self, source: Shard, target: Shard, known: bytes | None) -> None:
        """Raises ShardError when it could not be finished, or the lease was lost."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if known is not None:
            _log.info(
                "%s has lost its disk or is another server: copying from %s",
                target.name,
                source.name,
            )

        def told(done: int, total: int) -> None:
            self._progress.scan(source, target, done, total)

        refill = Refill(source, target, self._places, self._made["scan"], told)
        done = await refill.run(self._lease, self._seconds_each)
        told(0, 0)
        if done:
            _log.info(
                "%s has got all it must have from %s: %d records looked at in %.1f s",
                target.name, source.name, done, loop.time() - started,
            )  # fmt: skip

    async def _be_sure(self) -> None:
        """Takes UNSURE away where nothing can lie by another map, see maps.py."""
        sure = {UNSURE, bytes(self._map)}
        told: dict[Shard, frozenset[bytes]] = {}
        for shard in self._shards.values():
            reply = await shard.execute("heal", HOUSEKEEPING, (b"SMEMBERS", MAPS))
            told[shard] = members(reply)
        if not all(maps and maps <= sure for maps in told.values()):
            return
        for shard, maps in told.items():
            identity = await self._identity(shard)
            met = self._met.get(shard.name, {identity})
            if UNSURE in maps and identity is not None and met == {identity}:
                await shard.execute("heal", HOUSEKEEPING, sure_if(identity))


def _always_there(name: str, maps: frozenset[bytes]) -> bool:
    """Whether every map that records here may have been placed by has the shard."""
    parsed = [parse_map(one) for one in maps - {UNSURE}]
    return bool(parsed) and all(one is not None and name in one.names for one in parsed)


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    flat = [as_bytes(one) for one in as_list(reply)]
    return dict(zip(flat[::2], flat[1::2], strict=True))
