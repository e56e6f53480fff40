"""`python -m tests.shard_outage`: what callers feel while a shard is stopped, frozen, and healed.

One process that puts and gets at a steady pace, whether or not the last one has been answered, on
two real servers. Says p50, p99 and the slowest of each phase; the first second of an outage is a
phase of its own. The p99 is the median of those of the phase's seconds: a second in which the
machine was taken by somebody else is no finding about the store. Composition.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import click
import uvloop
from rich.console import Console
from rich.table import Table

from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError
from tests.redis_server import RedisServer

_VALUE = b"x" * 100
_PATIENCE = 60.0  # seconds for healing
_CEILING = 0.001  # seconds: a p99 below it is never called slow


@dataclass
class Felt:
    """Seconds that each operation of a phase took, by the second in which it was begun."""

    gets: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    puts: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: int = 0
    not_stored: int = 0

    def figures(self) -> dict[str, float]:
        figures: dict[str, float] = {"unanswered": self.unanswered, "not_stored": self.not_stored}
        for name, by_second in (("get", self.gets), ("put", self.puts)):
            whole = [times for times in by_second.values() if len(times) >= 50]
            times = [one for times in by_second.values() for one in times]
            of_name = {
                "p50": _share(times, 0.5),
                "p99": median(_share(second, 0.99) for second in whole or [times]),
                "max": max(times),
            }
            figures |= {f"{name}_{key}_ms": round(s * 1000, 2) for key, s in of_name.items()}
        return figures


def _share(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Caller:
    """Half puts of new records, half gets of old ones."""

    def __init__(self, store: ShardedStore, rate: int, records: int) -> None:
        self.phases: dict[str, Felt] = {}
        self._store = store
        self._rate = rate
        self._known = records
        self._under_way: set[asyncio.Task[None]] = set()
        self._dice = random.Random(1)
        self.phase = "normal"

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += 1 / self._rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            felt = self.phases.setdefault(self.phase, Felt())
            task = asyncio.create_task((self._put, self._get)[self._dice.random() < 0.5](felt))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _put(self, felt: Felt) -> None:
        self._known += 1
        began = time.perf_counter()
        felt.not_stored += await self._store.put(self._known, _VALUE) is Stored.NONE
        felt.puts[int(began)].append(time.perf_counter() - began)

    async def _get(self, felt: Felt) -> None:
        wanted = self._dice.randrange(1, max(2, self._known - 500))
        began = time.perf_counter()
        try:
            assert await self._store.get(wanted) == _VALUE, f"{wanted} was denied"
        except StoreUnavailableError:
            felt.unanswered += 1
        felt.gets[int(began)].append(time.perf_counter() - began)


async def measure(folder: Path, rate: int, seconds: float, records: int) -> dict[str, Felt]:
    with RedisServer(folder / "1") as first, RedisServer(folder / "2") as second:
        async with ShardedStore(StoreSettings((first.url, second.url))) as store:
            for start in range(1, records + 1, 500):
                some = range(start, min(start + 500, records + 1))
                await asyncio.gather(*(store.put(i, _VALUE) for i in some))
            await asyncio.sleep(3)  # the shards have met
            caller = Caller(store, rate, records)
            async with _running(caller.run()):
                await asyncio.sleep(seconds)
                await _outage(caller, "stopped", first.stop, seconds)
                await asyncio.to_thread(first.start)
                caller.phase = "healing, by hints"
                await _healed(store)
                caller.phase = "between"
                await asyncio.sleep(1)
                await _outage(caller, "frozen", first.freeze, seconds)
                first.thaw()
                caller.phase = "between"
                await _healed(store)
                await asyncio.to_thread(first.kill)
                shutil.rmtree(first.data)
                first.data.mkdir()
                await asyncio.to_thread(first.start)
                caller.phase = "healing, by scan"
                await _healed(store)
                caller.phase = "normal again"
                await asyncio.sleep(seconds / 2)
            return caller.phases


async def _outage(caller: Caller, name: str, begin: Callable[[], object], seconds: float) -> None:
    caller.phase = f"{name}, first second"
    await asyncio.to_thread(begin)
    await asyncio.sleep(1)
    caller.phase = f"{name}, after it"
    await asyncio.sleep(seconds - 1)


async def _healed(store: ShardedStore) -> None:
    deadline = time.monotonic() + _PATIENCE
    quiet = 0
    while quiet < 3:  # a healer looks once a second or so
        statuses = await store.status()
        well = all(one.state == "up" and not one.hints and not one.scan_total for one in statuses)
        quiet = quiet + 1 if well else 0
        assert time.monotonic() < deadline, "not healed"
        await asyncio.sleep(0.6)


@asynccontextmanager
async def _running(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def broken(phases: dict[str, dict[str, float]]) -> list[str]:
    """Promises that do not hold, in words."""
    wrong = []
    normal = phases["normal"]
    for phase, figures in phases.items():
        if phase == "between":
            continue
        if figures["unanswered"] or figures["not_stored"]:
            wrong.append(
                f"{phase}: {figures['unanswered']:g} not read, {figures['not_stored']:g} not stored"
            )
        if "first second" in phase:
            continue
        for name in ("get_p99_ms", "put_p99_ms"):
            if figures[name] > 2 * max(normal[name], _CEILING * 1000):
                wrong.append(f"{phase}: {name} {figures[name]} is more than twice {normal[name]}")
    return wrong


@click.command()
@click.option("--rate", type=click.IntRange(20), default=400, show_default=True, help="A second.")
@click.option("--seconds", type=click.FloatRange(2), default=6.0, show_default=True)
@click.option("--records", type=click.IntRange(1000), default=15_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rate: int, seconds: float, records: int, as_json: bool) -> None:
    """`--seconds` of a phase. Exit code 1 when a p99 is more than twice that of normal times, or
    anything was not read or not stored with one shard away."""
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        felt = uvloop.run(measure(Path(folder), rate, seconds, records))
    phases = {name: one.figures() for name, one in felt.items()}
    wrong = broken(phases)
    if as_json:
        click.echo(json.dumps({"phases": phases, "broken": wrong}, indent=2))
    else:
        table = Table(box=None)
        table.add_column("ms")
        for column in phases["normal"]:
            table.add_column(column.removesuffix("_ms").replace("_", " "), justify="right")
        for name, figures in phases.items():
            table.add_row(name, *(f"{one:g}" for one in figures.values()))
        Console(width=130).print(table)
        click.echo("\n".join(wrong) if wrong else "all within twice the p99 of normal times")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.shard_outage")
