"""`python -m tests.soak_shards`: do memory, append-only file and hints of the shards stay bounded?

Two real servers with the shipped configuration; records are written at a steady pace and live for
some seconds only. In the second third of the time one shard is away, in the last it is back. Each
figure must be flat once the first records have expired. The file is rewritten from `--rewrite-mb`
on, for the shipped 64 MB take longer to fill than anybody wants to watch. Composition.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import click
import redis
from rich.console import Console
from rich.table import Table

from shards import ShardedStore, Stored, StoreSettings
from tests.redis_server import CONFIGURATION, RedisServer

_VALUE = b"x" * 200
_TICK = 0.05  # seconds
_MORE = 1.25  # times as much as before is growth, not chance


@dataclass(frozen=True)
class Sample:
    """What one shard is at a moment; sizes in MiB."""

    at: float
    shard: str
    records: int
    hints: int
    memory: float
    file: float
    rewrites: int


def look(server: RedisServer, shard: str, other: str, at: float) -> Sample:
    with redis.Redis(port=server.port, db=2, socket_timeout=5) as client:
        info = client.info()
        hints = client.scard(f"hints:{other}")
    records = sum(info.get(f"db{database}", {}).get("keys", 0) for database in (0, 1))
    return Sample(
        at, shard, records, int(str(hints)), info["used_memory"] / 2**20,
        info["aof_current_size"] / 2**20, info["aof_rewrites"],
    )  # fmt: skip


@dataclass
class Soak:
    seconds: float
    rate: int
    ttl: float
    rewrite_mb: int

    async def run(self, folder: Path) -> tuple[list[Sample], dict[str, int]]:
        options = ("--auto-aof-rewrite-min-size", f"{self.rewrite_mb}mb")
        second_configuration = CONFIGURATION.with_name("redis2.conf")
        with (
            RedisServer(folder / "1", *options) as first,
            RedisServer(folder / "2", *options, configuration=second_configuration) as second,
        ):
            settings = StoreSettings(
                (first.url, second.url), ttl_seconds=self.ttl, operation_timeout_seconds=1.0
            )
            async with ShardedStore(settings) as store:
                return await self._drive(store, first, second)

    async def _drive(
        self, store: ShardedStore, first: RedisServer, second: RedisServer
    ) -> tuple[list[Sample], dict[str, int]]:
        samples: list[Sample] = []
        done = dict.fromkeys(map(str, Stored), 0)
        writing = asyncio.create_task(self._write(store, done))
        begun, away = time.monotonic(), False
        try:
            while (at := time.monotonic() - begun) < self.seconds:
                third = int(at * 3 / self.seconds)
                if third == 1 and not away:
                    await asyncio.to_thread(second.stop)
                    away = True
                elif third == 2 and away:
                    await asyncio.to_thread(second.start)
                    away = False
                samples.append(await asyncio.to_thread(look, first, "redis1", "redis2", at))
                if not away:
                    samples.append(await asyncio.to_thread(look, second, "redis2", "redis1", at))
                await asyncio.sleep(1.0)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        return samples, done

    async def _write(self, store: ShardedStore, done: dict[str, int]) -> None:
        ids, begun = count(1), time.monotonic()
        for tick in count(1):
            outcomes = await asyncio.gather(
                *(store.put(next(ids), _VALUE) for _ in range(round(self.rate * _TICK)))
            )
            for outcome in outcomes:
                done[str(outcome)] += 1
            await asyncio.sleep(max(0.0, begun + tick * _TICK - time.monotonic()))

    def growing(self, samples: list[Sample]) -> list[str]:
        """What is not bounded, in words."""
        wrong = []
        third = self.seconds / 3
        for shard in ("redis1", "redis2"):
            own = [sample for sample in samples if sample.shard == shard]
            # Of each part that the shard sees whole: full since the first records expired.
            for number in (0, 1, 2) if shard == "redis1" else (0,):
                full = [s for s in own if number * third + self.ttl * 1.5 < s.at]
                part = [s for s in full if s.at < (number + 1) * third]
                half = part[: len(part) // 2], part[len(part) // 2 :]
                if not all(half):
                    raise click.UsageError("too short for this time to live")
                for figure in ("records", "memory"):
                    before, after = (max(getattr(s, figure) for s in one) for one in half)
                    if after > before * _MORE + 0.5:
                        wrong.append(f"{shard}: {figure} {before:.1f}, then {after:.1f}")
            if (most := max(s.file for s in own)) > self.rewrite_mb * 3:
                wrong.append(f"{shard}: its file had {most:.1f} MiB")
            if own[-1].rewrites == 0 and most > self.rewrite_mb:
                wrong.append(f"{shard}: its file was never rewritten")
        most_hints = max(sample.hints for sample in samples)
        # The expired are looked for every 0.5 to 1.5 s, and about a quarter of them is left.
        if most_hints > self.rate * (self.ttl + 1.5) * 1.5:
            wrong.append(f"{most_hints:,} hints, of {self.rate * self.ttl:,.0f} living records")
        if samples[-1].hints:
            wrong.append(f"{samples[-1].hints:,} hints at the end")
        return wrong


def show(samples: list[Sample]) -> None:
    table = Table(box=None)
    for column in ("s", "shard", "records", "hints", "memory MiB", "AOF MiB", "rewrites"):
        table.add_column(column, justify="right")
    for one in samples[:: max(1, len(samples) // 30) | 1]:
        table.add_row(
            f"{one.at:.0f}", one.shard, f"{one.records:,}", f"{one.hints:,}",
            f"{one.memory:.1f}", f"{one.file:.1f}", str(one.rewrites),
        )  # fmt: skip
    Console().print(table)


@click.command()
@click.option("--seconds", type=click.FloatRange(15), default=60.0, show_default=True)
@click.option("--rate", type=click.IntRange(20), default=1000, show_default=True, help="Writes/s.")
@click.option("--ttl", type=click.FloatRange(1), default=3.0, show_default=True, help="Seconds.")
@click.option("--rewrite-mb", type=click.IntRange(1), default=4, show_default=True)
def main(seconds: float, rate: int, ttl: float, rewrite_mb: int) -> None:
    """Exit code 0 when all figures are bounded, 1 when one grows."""
    soak = Soak(seconds, rate, ttl, rewrite_mb)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        samples, done = asyncio.run(soak.run(Path(folder)))
    wrong = soak.growing(samples)
    show(samples)
    click.echo("written: " + ", ".join(f"{number:,} {stored}" for stored, number in done.items()))
    click.echo("\n".join(wrong) if wrong else "bounded: records, memory, files and hints")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.soak_shards")
