"""Two copies on real servers: one is lost in every way there is, and nothing with it."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
import redis

from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError
from shards.placement import Placement
from shards.scripts import forget_expired
from tests.redis_server import RedisServer

IDS = range(1, 301)
PLACEMENT = Placement(["redis1", "redis2"])


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "redis1") as first, RedisServer(tmp_path / "redis2") as second:
        yield first, second


@pytest.fixture
async def store(servers: tuple[RedisServer, RedisServer]) -> AsyncIterator[ShardedStore]:
    urls = tuple(server.url for server in servers)
    # The machine may be busy: neither must look like a frozen shard.
    settings = StoreSettings(urls, connect_timeout_seconds=1.0, operation_timeout_seconds=1.0)
    async with ShardedStore(settings) as store:
        yield store


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if await condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"never: {what}")


async def both_hold_everything(store: ShardedStore, servers, ids: range) -> None:
    async def healed() -> bool:
        statuses = await store.status()
        return all(s.state == "up" and s.hints == 0 and s.scan_done is None for s in statuses) and (
            all(held(server, record_id) for server in servers for record_id in ids)
        )

    await until(healed, "both shards hold every record")


def held(server: RedisServer, record_id: int) -> bool:
    replies = [server_get(server, database, record_id) for database in (0, 1)]
    return any(b"%d." % record_id in reply for reply in replies)


def server_get(server: RedisServer, database: int, record_id: int) -> bytes:
    script = f"redis.call('SELECT',{database}) return redis.call('GET','d:{{{record_id}}}')"
    return server.command(f'EVAL "{script}" 0')


async def write(store: ShardedStore, ids: range) -> set[Stored]:
    return set(await asyncio.gather(*(store.put(i, b"%d." % i) for i in ids)))


async def read(store: ShardedStore, ids: range) -> None:
    for record_id in ids:
        assert await store.get(record_id) == b"%d." % record_id


async def test_writes_and_reads_go_on_without_a_shard_and_it_gets_what_it_missed(store, servers):
    await write(store, IDS[:100])
    await asyncio.to_thread(servers[0].stop)
    assert await write(store, IDS[100:]) == {Stored.DEGRADED}
    await read(store, IDS)
    with pytest.raises(StoreUnavailableError):
        await store.get(10**9)  # the other may know
    servers[0].start()
    await both_hold_everything(store, servers, IDS)
    assert await store.get(10**9) is None


async def test_a_hint_is_there_before_the_answer(store, servers):
    await asyncio.to_thread(servers[0].kill)
    assert await store.put(7, b"7.") == Stored.DEGRADED
    hints = servers[1].command(
        "EVAL \"redis.call('SELECT',2) return redis.call('SISMEMBER','hints:redis1','7')\" 0"
    )
    assert hints == b":1\r\n"


def test_only_hints_of_records_that_are_nowhere_are_forgotten(tmp_path: Path):
    with RedisServer(tmp_path) as server:
        first, further, house = (
            redis.Redis(port=server.port, db=database) for database in (0, 1, 2)
        )
        first.set("d:{1}", "value")
        further.set("d:{2}", "value")
        house.sadd("hints:redis2", 1, 2, 3, 4, 5)
        _, script, count, *rest = forget_expired("redis2", [1, 2, 3, 4])
        assert house.eval(cast("str", script), int(count), *rest) == 2
        assert house.smembers("hints:redis2") == {b"1", b"2", b"5"}


async def test_a_shard_that_lost_its_disk_gets_everything_back(store, servers):
    await write(store, IDS)
    await asyncio.sleep(2)  # the other one has met it
    await asyncio.to_thread(servers[0].stop)
    shutil.rmtree(servers[0].data)
    servers[0].data.mkdir()
    servers[0].start()
    await read(store, IDS)
    await both_hold_everything(store, servers, IDS)


async def test_a_shard_that_is_full_is_written_around(store, servers):
    servers[0].command("CONFIG SET maxmemory 1")
    assert await write(store, IDS) == {Stored.DEGRADED}
    await read(store, IDS)
    servers[0].command("CONFIG SET maxmemory 0")
    await both_hold_everything(store, servers, IDS)


async def test_a_full_shard_still_gives_the_other_all_that_it_lost(store, servers):
    await write(store, IDS)
    servers[0].command("CONFIG SET maxmemory 1")
    await asyncio.to_thread(servers[1].stop)
    shutil.rmtree(servers[1].data)
    servers[1].data.mkdir()
    await asyncio.to_thread(servers[1].start)

    async def healed() -> bool:  # and remembered, or it would be copied over and over
        known, identity = (
            server.command(f"EVAL \"redis.call('SELECT',2) return redis.call({asked})\" 0")
            for server, asked in zip(
                servers, ("'HGET','peers','redis2'", "'GET','identity'"), strict=True
            )
        )
        return known == identity and all(held(servers[1], i) for i in IDS)

    await until(healed, "the shard that lost its disk has everything, and the full one knows")


async def test_a_silent_first_owner_is_not_waited_for(store, servers):
    await write(store, IDS)
    servers[0].freeze()
    started = time.perf_counter()
    await asyncio.gather(*(store.get(i) for i in IDS))
    assert time.perf_counter() - started < 0.8, "a time-out is 1 s"
    servers[0].thaw()


async def test_a_record_found_on_one_owner_only_is_written_back(store, servers):
    await write(store, IDS[:1])
    first = PLACEMENT.owners(1)[0]  # who is asked first must miss it for anybody to notice
    server = servers[["redis1", "redis2"].index(first)]
    assert server.command("DEL d:{1}") == b":1\r\n"

    async def back() -> bool:
        assert await store.get(1) == b"1."
        return held(servers[0], 1) and held(servers[1], 1)

    await until(back, "the missing copy is there")


async def test_nothing_is_stored_when_no_shard_is_there(store, servers):
    for server in servers:
        await asyncio.to_thread(server.stop)
    assert await write(store, IDS[:20]) == {Stored.NONE}
    with pytest.raises(StoreUnavailableError):
        await store.get(1)


async def test_servers_whose_addresses_are_mixed_up_are_not_used(store, servers):
    await write(store, IDS[:10])
    swapped = StoreSettings((servers[1].url, servers[0].url))
    async with ShardedStore(swapped) as wrong:
        assert await wrong.put(999, b"value") == Stored.NONE
        with pytest.raises(
            StoreUnavailableError, match=r"this server is shard redis[12], not redis[12]"
        ):
            await wrong.get(1)


async def test_a_healer_that_is_killed_in_the_middle_loses_nothing(store, servers):
    await asyncio.to_thread(servers[0].stop)
    await write(store, IDS)
    urls = store.settings.urls
    slow = StoreSettings(urls, operation_timeout_seconds=1.0, heal_records_per_second=50)
    await store.close()
    servers[0].start()
    async with ShardedStore(slow) as first:

        async def begun() -> bool:
            return 0 < (await first.status())[0].hints < len(IDS)

        await until(begun, "healing has begun")
    async with ShardedStore(StoreSettings(urls, operation_timeout_seconds=1.0)) as second:
        await both_hold_everything(second, servers, IDS)
