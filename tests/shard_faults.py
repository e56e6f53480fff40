"""Sequences of faults of two shards while records are written and read, and what must be true.

The same sequences run on servers in memory, on simulated time, and on real ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError

Kind = Literal[
    "write", "read", "pause", "crash", "start", "freeze", "thaw", "fill", "empty", "lose disk",
    "cut", "kill the store",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    kind: Kind
    shard: int = 0  # of which
    amount: int = 1  # records; commands until the connections are cut
    seconds: float = 0.0  # until the next step; what was begun goes on


class World(Protocol):
    """Two servers."""

    @property
    def urls(self) -> tuple[str, str]: ...

    async def do(self, kind: Kind, shard: int, amount: int) -> None:
        """A fault, or its end."""

    def records(self, shard: int) -> set[int]:
        """Ids of those that lie on the server."""

    def uncovered(self, shard: int, record_ids: Sequence[int]) -> list[int]:
        """Of records that the other one lacks, those of which this one does not know it."""

    def observable(self, shard: int) -> bool:
        """Whether the other two can be asked now."""


def random_steps(generator: random.Random, count: int) -> list[Step]:
    """For where hypothesis takes too long."""
    kinds = [*get_args(Kind), *["write"] * 6, *["start"] * 3, "thaw", "empty"]
    return [
        Step(
            generator.choice(kinds), generator.randrange(2), generator.randint(1, 12),
            generator.choice([0.0, 0.0003, 0.3]),
        )
        for _ in range(count)
    ]  # fmt: skip


class Drive:
    """One sequence. AssertionError when something acknowledged is lost or denied."""

    def __init__(self, world: World, settings: StoreSettings) -> None:
        self._world = world
        self._settings = settings
        self._store = ShardedStore(settings)
        self._acknowledged: set[int] = set()
        self._unanswered: set[int] = set()
        self._excused: set[int] = set()
        self._next_id = 0
        self._writes: set[asyncio.Task[None]] = set()
        self._bad: dict[str, set[int]] = {"crash": set(), "freeze": set(), "fill": set()}

    async def run(self, steps: Sequence[Step]) -> int:
        """The number of records acknowledged; all faults are over at the end, all is healed."""
        await self._store.open()
        try:
            for step in steps:
                await self._step(step)
                await asyncio.sleep(step.seconds)
                self._check()
            await self._end_faults()
            await asyncio.gather(*self._writes)
            await self._all_is_well()
        finally:
            for task in self._writes:
                task.cancel()
            await asyncio.gather(*self._writes, return_exceptions=True)
            await self._store.close()
        return len(self._acknowledged)

    async def _step(self, step: Step) -> None:
        if step.kind == "write":
            for _ in range(step.amount):
                self._next_id += 1
                task = asyncio.create_task(self._write(self._store, self._next_id))
                self._writes.add(task)
                task.add_done_callback(self._writes.discard)
        elif step.kind == "read":
            await asyncio.gather(*map(self._read, sorted(self._acknowledged)[-step.amount :]))
        elif step.kind == "kill the store":
            for task in self._writes:
                task.cancel()
            await self._store.close()
            self._store = ShardedStore(self._settings)
            await self._store.open()
        elif step.kind != "pause":
            await self._fault(step)

    async def _fault(self, step: Step) -> None:
        """Unless it makes no sense now."""
        kind, shard = step.kind, step.shard
        begins = {"crash": "crash", "freeze": "freeze", "fill": "fill"}.get(kind)
        ends = {"start": "crash", "thaw": "freeze", "empty": "fill"}.get(kind)
        if begins is not None and not self._is_bad(shard, "crash", "freeze", begins):
            self._bad[begins].add(shard)
        elif (
            ends is not None
            and shard in self._bad[ends]
            and not (ends == "fill" and self._is_bad(shard, "crash", "freeze"))
        ):
            self._bad[ends].discard(shard)
        elif kind == "lose disk" and self._may_be_lost(shard):
            # Whoever has no copy on the other one yet may be answered as this disk goes: of its
            # one copy, while the other shard is away. Two copies survive one loss.
            self._excused |= self._unanswered - self._world.records(1 - shard)
            if not self._is_bad(shard, "crash"):
                await self._world.do("crash", shard, 0)
            self._bad["crash"].add(shard)
            self._bad["fill"].discard(shard)
        elif kind != "cut" or self._is_bad(shard, "crash", "freeze"):
            return
        await self._world.do(kind, shard, step.amount)

    def _is_bad(self, shard: int, *ways: str) -> bool:
        return any(shard in self._bad[way] for way in ways)

    def _may_be_lost(self, shard: int) -> bool:
        """A second disk is lost only when the first is made good: two copies survive one loss."""
        other = 1 - shard
        return (
            not self._is_bad(shard, "freeze")
            and self._world.observable(other)
            and self._acknowledged <= self._world.records(other)
        )

    async def _write(self, store: ShardedStore, record_id: int) -> None:
        self._unanswered.add(record_id)
        try:
            stored = await store.put(record_id, b"%d." % record_id)
        finally:
            self._unanswered.discard(record_id)
        if stored != Stored.NONE and record_id not in self._excused:
            self._acknowledged.add(record_id)

    async def _read(self, record_id: int, patience: float = 0.0) -> None:
        """Not to know is no lie, unless it lasts."""
        while True:
            try:
                assert await self._store.get(record_id) == b"%d." % record_id, "denied"
            except StoreUnavailableError:
                assert patience >= 0.0, "not readable"
                if patience == 0.0:
                    return
                patience -= 0.1
                await asyncio.sleep(0.1)
            else:
                return

    def _check(self) -> None:
        """Both copies exist, or one, and its shard knows that the other is missing."""
        if not all(map(self._world.observable, (0, 1))):
            return
        records = [self._world.records(shard) for shard in (0, 1)]
        lost = self._acknowledged - records[0] - records[1]
        assert lost == set()
        for shard in (0, 1):
            lacking = self._acknowledged - records[1 - shard]
            assert self._world.uncovered(shard, sorted(lacking)) == []

    async def _end_faults(self) -> None:
        for begun, end in (("crash", "start"), ("freeze", "thaw"), ("fill", "empty")):
            for shard in sorted(self._bad[begun]):
                await self._world.do(end, shard, 0)  # type: ignore[arg-type]
            self._bad[begun].clear()

    async def _all_is_well(self) -> None:
        for _ in range(300):
            missing = [self._acknowledged - self._world.records(shard) for shard in (0, 1)]
            if not any(missing):
                break
            await asyncio.sleep(0.1)
        assert not any(missing), "copies that are not made good"
        for record_id in self._acknowledged:
            await self._read(record_id, patience=10.0)
