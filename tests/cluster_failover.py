"""`python -m tests.cluster_failover`: what a Redis Cluster loses when a master is killed.

It starts one of three masters and three replicas, writes as fast as the callers get answers,
kills a master with SIGKILL under this load, lets its replica take over, and reads back every
record that was acknowledged. Replication is asynchronous: some may be lost, and are counted.
Composition.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

import click

from shards import ClusterStore, Stored, StoreSettings, StoreUnavailableError, split_urls
from tests.redis_cluster import RedisCluster

_BEFORE, _AFTER = 2.0, 2.0  # seconds of load before the kill, and after the last failed write
_AT_MOST = 20.0
_PATIENCE = 30.0  # seconds for one record to be read back
_PAUSE = 0.02  # of a caller whose write failed


@dataclass
class Round:
    """What one kill did; seconds. `wrong`: read back with another value, which must never be."""

    acknowledged: int = 0
    failed: int = 0
    lost: int = 0
    wrong: int = 0
    outage: float = 0.0
    slowest_put: float = 0.0
    outcomes: dict[int, bool] = field(default_factory=dict, repr=False)


def value_of(record_id: int) -> bytes:
    return b"%d." % record_id * 10


async def one_round(cluster: RedisCluster, callers: int, limit: float) -> Round:
    settings = StoreSettings(split_urls(cluster.url), operation_timeout_seconds=limit)
    found, ids = Round(), count(1)
    last_failure = killed = time.monotonic()
    over = asyncio.Event()

    async def caller(store: ClusterStore) -> None:
        nonlocal last_failure
        while not over.is_set():
            record_id, began = next(ids), time.monotonic()
            stored = await store.put(record_id, value_of(record_id)) == Stored.REPLICATED
            found.outcomes[record_id] = stored
            found.slowest_put = max(found.slowest_put, time.monotonic() - began)
            if not stored:
                last_failure = time.monotonic()
                await asyncio.sleep(_PAUSE)

    async with ClusterStore(settings) as store:
        asking = [asyncio.create_task(caller(store)) for _ in range(callers)]
        await asyncio.sleep(_BEFORE)
        last_failure = killed = time.monotonic()
        cluster.masters[0].kill()
        while time.monotonic() < killed + _AT_MOST:
            await asyncio.sleep(0.1)
            if time.monotonic() > last_failure + _AFTER:
                break
        over.set()
        await asyncio.gather(*asking)
        found.outage = last_failure - killed
        acknowledged = [i for i, stored in found.outcomes.items() if stored]
        found.acknowledged = len(acknowledged)
        found.failed = len(found.outcomes) - len(acknowledged)
        for start in range(0, len(acknowledged), callers):
            part = acknowledged[start : start + callers]
            values = await asyncio.gather(*(_read(store, record_id) for record_id in part))
            found.lost += values.count(None)
            found.wrong += sum(
                value not in (None, value_of(i)) for i, value in zip(part, values, strict=True)
            )
    return found


async def _read(store: ClusterStore, record_id: int) -> bytes | None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return await store.get(record_id)
        except StoreUnavailableError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)


@click.command()
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--callers", type=click.IntRange(1, 1000), default=32, show_default=True)
@click.option(
    "--node-timeout", type=click.IntRange(200, 60_000), default=2000, show_default=True,
    help="Milliseconds of silence after which the cluster replaces a master.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0.01, 60), default=0.25, show_default=True,
    help="Of one operation of the store, seconds.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Each round as a line of JSON.")
def failover(rounds: int, callers: int, node_timeout: int, timeout: float, as_json: bool) -> None:
    """Kill a master of a Redis Cluster under load, and count what was acknowledged and is lost.

    Exit code 1 if a value was read that nobody wrote.
    """
    wrong = 0
    for number in range(1, rounds + 1):
        with (
            tempfile.TemporaryDirectory(prefix="cluster-") as folder,
            RedisCluster(Path(folder), node_timeout_ms=node_timeout) as cluster,
        ):
            found = asyncio.run(one_round(cluster, callers, timeout))
        wrong += found.wrong
        told = asdict(found)
        del told["outcomes"]
        if as_json:
            click.echo(json.dumps(told))
            continue
        click.echo(
            f"round {number}: {found.acknowledged:,} writes acknowledged, {found.lost:,} of them"
            f" lost, {found.wrong} read wrong; {found.failed:,} refused, the last"
            f" {found.outage:.1f} s after the kill; the slowest answer took"
            f" {found.slowest_put:.2f} s"
        )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    failover(prog_name="python -m tests.cluster_failover")
