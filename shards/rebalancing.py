"""Putting every record where the map says, after a shard was added or is leaving. Edge.

Passes over every place until one finds nothing to do: that one is the verification, for it has
looked at every record, and found a copy at every place where there must be one and none elsewhere.
Then the other maps are forgotten (maps.py), and readers need not look elsewhere any more.

It may be ended at any moment and begun again: nothing is remembered but what lies where. One runs
at a time, by a lease on every shard; and none while somebody writes by another map.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_delay, wait_fixed

from monitoring.page import MetricsPage

from .errors import ShardError
from .introduction import WRITER_MS, announcement, christening, members
from .layout import (
    HOUSEKEEPING,
    IDENTITY,
    MAPS,
    PEERS,
    REBALANCE,
    hints_key,
    id_of,
    writer_key,
)
from .lease import Lease
from .maps import parse_map, strangers
from .moving import LeaseLostError, Moved, Mover, ShardPlace
from .pipeline import Reply
from .places import Places
from .refilling import as_bytes, as_list, batch, size
from .scripts import forget_maps_if_leased
from .settings import StoreSettings
from .shard import Shard

_LEASE_SECONDS = 5.0
_RENEW_EVERY = 1.0  # seconds
_SCAN_COUNT = 500
_MOST_PASSES = 10
_LOOKS_PER_CHANGE = 10  # a look is that much cheaper than a change
_GRACE = 2.0  # seconds more to wait for what ends by itself

Report = Callable[[str], None]  # a step, in words


class RebalanceError(Exception):
    """It could not be finished; says why, and what to do. Nothing is lost."""


class Rebalance:
    """One run over the shards of a store; `moved` says what was done in all.

    `gone`: names of shards that are lost for ever. `report` hears of steps, `progress`
    is called after each batch.
    """

    def __init__(
        self,
        settings: StoreSettings,
        records_per_second: float,
        *,
        gone: frozenset[str] = frozenset(),
        report: Report,
        progress: Callable[[], None],
    ) -> None:
        recorder = MetricsPage(None, rows=1, columns=160 * len(settings.urls) + 64).recorder(0)
        self.moved = Moved()
        self.passes = 0
        self.done = 0  # copies looked at in this pass
        self.total = 0  # of how many, about
        self._map = settings.map
        self._shards = {
            address.name: Shard(address, settings, recorder, claim=False)
            for address in settings.addresses
        }
        self._places = Places(self._shards, settings.map)
        self._seconds_each = 1.0 / records_per_second
        self._gone = gone
        self._report = report
        self._progress = progress
        self._lease = Lease(REBALANCE, _LEASE_SECONDS)
        self._renewed = 0.0
        self._mover = Mover(self._places, self._lease.token, self.moved)

    async def run(self) -> None:
        """Raises RebalanceError."""
        try:
            await self._run()
        except ShardError as error:
            said = str(error).rstrip(".")
            raise RebalanceError(f"{said}. Nothing is lost: run it again to go on.") from error
        except LeaseLostError:
            raise RebalanceError("another rebalance has begun; this one has ended.") from None
        finally:
            ended = (self._lease.end(shard) for shard in self._shards.values() if not shard.absent)
            await asyncio.gather(*ended, return_exceptions=True)  # it ends by itself
            await asyncio.gather(*(shard.close() for shard in self._shards.values()))

    async def _run(self) -> None:
        self._report("waiting for other rebalances, and for writers by other maps, to end")
        await _until(
            self._leased, _LEASE_SECONDS + _GRACE, "another rebalance runs; let it end first."
        )
        told = await self._maps()
        self._refuse_strangers(told)
        await self._no_other_writers(told)
        await self._claim(told)
        while True:
            told = await self._maps()
            before = self.moved.changes
            await self._pass()
            if self.moved.changes == before:
                break
            if self.passes == _MOST_PASSES:
                raise RebalanceError(
                    f"after {self.passes} passes there is still something to do. Does a process"
                    " write by another map? Restart it, then run this again."
                )
        if self.moved.conflicts:
            some = ", ".join(map(str, sorted(self.moved.conflicts)[:5]))
            raise RebalanceError(
                f"{len(self.moved.conflicts)} records lie in two places with different values and"
                f" were left as they are: {some}."
            )
        await self._no_other_writers(told)
        await self._forget(told)

    # Who else there is

    async def _leased(self) -> bool:
        for _, shard in sorted(self._shards.items()):  # the first one decides between two
            if not await self._lease.take(shard):
                return False
        self._renewed = asyncio.get_running_loop().time()
        return True

    async def _maps(self) -> dict[str, frozenset[bytes]]:
        told = {}
        for name, shard in self._shards.items():
            reply = await shard.execute("heal", HOUSEKEEPING, (b"SMEMBERS", MAPS))
            told[name] = members(reply)
        return told

    def _refuse_strangers(self, told: Mapping[str, frozenset[bytes]]) -> None:
        missing = sorted(set(strangers(self._shards, told.values())) - self._gone)
        if missing:
            names = ", ".join(missing)
            raise RebalanceError(
                f"{names} had records and is not among the shards. Name it with ?leaving, as"
                f" redis://HOST:PORT?leaving#{missing[0]}; or, if it is lost for ever and what only"
                f" it had with it, say --gone {missing[0]}."
            )

    async def _no_other_writers(self, told: Mapping[str, frozenset[bytes]]) -> None:
        """Raises RebalanceError when somebody writes by another of these maps."""
        maps = {one for maps in told.values() for one in maps} - {bytes(self._map)}
        for one in maps:
            if (parsed := parse_map(one)) is not None:
                said = (
                    f"somebody writes by another map: {parsed}. Restart it with the shards given"
                    f" here, {self._map}, then run this again."
                )
                await _until(self._silent(writer_key(one), said), WRITER_MS / 1000 + _GRACE, said)

    def _silent(self, key: bytes, otherwise: str) -> Callable[[], Awaitable[bool]]:
        """Whether a writer's word has run out everywhere. Raises RebalanceError with `otherwise`
        when it is given anew."""
        least = dict.fromkeys(self._shards, WRITER_MS)

        async def silent() -> bool:
            gone = await self._leased()
            for name, shard in self._shards.items():
                left = await shard.execute("heal", HOUSEKEEPING, (b"PTTL", key))
                if isinstance(left, int) and left > 0:
                    if left > least[name]:
                        raise RebalanceError(otherwise)
                    least[name], gone = left, False
            return gone

        return silent

    async def _claim(self, told: Mapping[str, frozenset[bytes]]) -> None:
        """Says that we write by this map; a new server gets an identity."""
        for name, shard in self._shards.items():
            identity = await shard.execute("heal", HOUSEKEEPING, (b"GET", IDENTITY))
            said = (
                christening(name, self._map)
                if identity is None
                else announcement(self._map, told[name])
            )
            await shard.keep_house(*said)

    async def _forget(self, told: Mapping[str, frozenset[bytes]]) -> None:
        """All maps but this one: every record was found in its place since they were read."""
        for name, shard in self._shards.items():
            others = told[name] - {bytes(self._map)}
            forget = forget_maps_if_leased(self._lease.token, others)
            done = await shard.execute("heal", HOUSEKEEPING, forget)
            if done == -1:
                raise LeaseLostError
            if done == -2:
                raise RebalanceError("somebody has begun to write by another map; run this again.")
            for lost in self._gone:
                nothing_owed = ((b"DEL", hints_key(lost)), (b"HDEL", PEERS, lost))
                await shard.execute("heal", HOUSEKEEPING, *nothing_owed)

    # Moving

    async def _pass(self) -> None:
        self.passes += 1
        self.done = 0
        self.total = sum(await asyncio.gather(*map(size, self._shards.values())))
        copied, removed = self.moved.copied, self.moved.removed
        for place in self._places.all():
            await self._scan(place)
        self._report(
            f"pass {self.passes}: {self.done:,} copies looked at,"
            f" {self.moved.copied - copied:,} made, {self.moved.removed - removed:,} removed"
        )

    async def _scan(self, place: ShardPlace) -> None:
        cursor: Reply = b"0"
        at_once = batch(self._seconds_each)
        while True:
            scan = (b"SCAN", as_bytes(cursor), b"COUNT", _SCAN_COUNT)
            cursor, keys = as_list(await place.shard.execute("heal", place.database, scan))
            ids = [i for i in map(id_of, map(as_bytes, as_list(keys))) if i is not None]
            for start in range(0, len(ids), at_once):
                await self._settle(place, ids[start : start + at_once])
            if cursor == b"0":
                return

    async def _settle(self, place: ShardPlace, ids: list[int]) -> None:
        loop = asyncio.get_running_loop()
        begun, before = loop.time(), self.moved.changes
        if begun >= self._renewed + _RENEW_EVERY and not await self._leased():
            raise LeaseLostError
        await self._mover.settle(place, ids)
        self.done += len(ids)
        self._progress()
        cost = self.moved.changes - before + len(ids) / _LOOKS_PER_CHANGE
        await asyncio.sleep(max(0.0, begun + cost * self._seconds_each - loop.time()))


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float, otherwise: str) -> None:
    """Raises RebalanceError with `otherwise` if it is not true within that time."""
    trying = AsyncRetrying(
        retry=retry_if_result(lambda true: not true),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.2),
    )
    try:
        await trying(condition)
    except RetryError:
        raise RebalanceError(otherwise) from None
