"""`python -m tests.bench.store_load`: 64 callers that SET and GET records, as fast as it goes.

One process, one event loop. Each caller writes a record of 100 bytes under a new id, reads it back
and compares. Says what came of it in one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import click
import redis.asyncio
import uvloop

CALLERS = 64
VALUE = b"x" * 100
_EXPIRY = 600  # seconds
_TIMEOUT = 5.0  # seconds; what is slow lowers the figure, and must not end the measurement

Put = Callable[[int, bytes], Awaitable[bool]]
Get = Callable[[int], Awaitable[bytes | None]]


@dataclass(slots=True)
class Tally:
    """Commands, CPU and clock seconds of the measured time; failures of all of it."""

    commands: int = 0
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    failures: int = 0


async def through_shards(
    urls: tuple[str, ...], warmup: float, seconds: float, copies: int = 1
) -> Tally:
    from shards import ShardedStore, Stored, StoreSettings

    settings = StoreSettings(
        urls, copies, ttl_seconds=_EXPIRY, operation_timeout_seconds=_TIMEOUT,
        connect_timeout_seconds=_TIMEOUT,
    )  # fmt: skip
    async with ShardedStore(settings) as store:

        async def put(record: int, value: bytes) -> bool:
            return await store.put(record, value) is Stored.REPLICATED

        return await _measure(put, store.get, warmup, seconds)


async def through_redis_py(urls: tuple[str, ...], warmup: float, seconds: float) -> Tally:
    """As its documentation shows it: a client per server, with its own pool."""
    clients = [redis.asyncio.Redis.from_url(url) for url in urls]

    def owner(record: int) -> redis.asyncio.Redis:
        return clients[record % len(clients)]

    async def put(record: int, value: bytes) -> bool:
        return bool(await owner(record).set(f"plain:{record}", value, nx=True, ex=_EXPIRY))

    async def get(record: int) -> bytes | None:
        return cast("bytes | None", await owner(record).get(f"plain:{record}"))

    try:
        return await _measure(put, get, warmup, seconds)
    finally:
        for client in clients:
            await client.aclose()


async def _measure(put: Put, get: Get, warmup: float, seconds: float) -> Tally:
    tally, running = Tally(), True
    first = time.time_ns() % 2**52  # new ids in every run

    async def caller(number: int) -> None:
        record = first + number
        while running:
            stored = await put(record, VALUE)
            tally.failures += not (stored and await get(record) == VALUE)
            tally.commands += 2
            record += CALLERS

    callers = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
    await asyncio.sleep(warmup)
    commands, cpu, clock = tally.commands, time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    told = Tally(
        tally.commands - commands,
        time.process_time() - cpu,
        time.perf_counter() - clock,
    )
    running = False
    await asyncio.gather(*callers)
    told.failures = tally.failures
    return told


CLIENTS: dict[str, Callable[[tuple[str, ...], float, float], Awaitable[Tally]]] = {
    "shards": through_shards,
    "shards, two copies": partial(through_shards, copies=2),
    "redis-py": through_redis_py,
}


async def _measured(client: str, urls: tuple[str, ...], warmup: float, seconds: float) -> Tally:
    return await CLIENTS[client](urls, warmup, seconds)


@click.command()
@click.option("--client", type=click.Choice(list(CLIENTS)), required=True)
@click.option("--url", "urls", multiple=True, required=True)
@click.option("--warmup", type=float, default=0.3)
@click.option("--seconds", type=float, default=2.0)
def main(client: str, urls: tuple[str, ...], warmup: float, seconds: float) -> None:
    """Measure one client."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tally = runner.run(_measured(client, urls, warmup, seconds))
        print(json.dumps(asdict(tally)))


if __name__ == "__main__":
    main()
