"""Faults at one certain moment of a write or of healing, in memory and on simulated time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shards import ShardedStore, Stored, StoreSettings
from tests.fake_redis import FakeNetwork, FakeRedis

Scene = Callable[[ShardedStore, list[FakeRedis]], Awaitable[None]]


def play(scene: Scene, shards: int = 2, **settings: Any) -> None:
    """On as many shards, with a copy on each."""
    network = FakeNetwork()
    servers = [FakeRedis(network) for _ in range(shards)]
    network.servers = dict(enumerate(servers, 1))
    urls = tuple(f"redis://fake:{port}" for port in network.servers)

    async def run() -> None:
        async with ShardedStore(StoreSettings(urls, copies=shards, **settings)) as store:
            await scene(store, servers)

    with asyncio.Runner(loop_factory=lambda: network) as runner:
        runner.run(run())


def hinted(server: FakeRedis, absent: str) -> set[bytes]:
    found: set[bytes] = server.keys(2).get(b"hints:" + absent.encode(), set())
    return set(found)


def test_of_three_copies_two_that_fail_one_after_the_other_are_both_named_by_hints():
    async def scene(store: ShardedStore, servers: list[FakeRedis]) -> None:
        servers[2].crash()
        assert await store.put(6, b"value") == Stored.DEGRADED  # it is known to be absent
        servers[1].frozen = True
        assert await store.put(7, b"value") == Stored.DEGRADED
        servers[1].crash()  # it never read what it was sent
        assert servers[1].keys(0).keys() | servers[1].keys(1).keys() == {b"d:{6}"}
        assert hinted(servers[0], "redis3") == {b"6", b"7"}
        assert hinted(servers[0], "redis2") == {b"7"}

    play(scene, shards=3)


def test_hints_do_not_outlive_their_records_however_long_a_shard_is_away():
    async def scene(store: ShardedStore, servers: list[FakeRedis]) -> None:
        servers[1].crash()
        for record_id in range(1000):
            assert await store.put(record_id, b"value") == Stored.DEGRADED
        await asyncio.sleep(15)
        assert len(hinted(servers[0], "redis2")) == 1000
        await asyncio.sleep(15)
        last = {b"%d" % record_id for record_id in range(1000, 1100)}
        for record_id in range(1000, 1100):
            assert await store.put(record_id, b"value") == Stored.DEGRADED
        await asyncio.sleep(15)
        left = hinted(servers[0], "redis2")
        assert last <= left, "these are owed to it"
        assert len(left) < 150, "a few that have expired may be left"

    play(scene, ttl_seconds=20.0)


def test_what_nobody_has_thought_of_ends_no_healing(caplog: pytest.LogCaptureFixture):
    async def scene(store: ShardedStore, servers: list[FakeRedis]) -> None:
        servers[0].keys(2)[b"hints:redis2"] = {b"no id at all"}
        await asyncio.sleep(5)
        servers[0].crash()
        assert await store.put(7, b"value") == Stored.DEGRADED
        servers[0].runs = True
        await asyncio.sleep(5)
        assert hinted(servers[1], "redis1") == set()
        assert b"d:{7}" in {*servers[0].keys(0), *servers[0].keys(1)}

    play(scene)
    said = [record for record in caplog.records if record.levelname == "ERROR"]
    assert said[0].getMessage() == "healing from redis1 ended by an error of its own"
    assert said[0].exc_info


def test_another_server_of_the_same_name_behind_the_address_gets_everything_and_nothing_is_denied(
    caplog: pytest.LogCaptureFixture,
):
    """Of another stack, say, with records of its own."""

    async def scene(store: ShardedStore, servers: list[FakeRedis]) -> None:
        ids = range(1, 101)
        await asyncio.gather(*(store.put(i, b"%d." % i) for i in ids))
        await asyncio.sleep(5)  # they have met
        ours, network = servers[0], servers[0].network
        other = FakeRedis(network)
        other.keys(0)[b"d:{5000}"] = b"theirs"
        other.keys(2).update({b"identity": b"redis1 0ther", b"maps": {b"2:redis1,redis2"}})
        ours.crash()
        network.servers[1] = other
        for i in ids:
            assert await store.get(i) == b"%d." % i
        await asyncio.sleep(10)
        wanted = {b"d:{%d}" % i for i in ids}
        assert wanted <= {*other.keys(0), *other.keys(1)}
        assert other.keys(0)[b"d:{5000}"] == b"theirs"
        # The right one comes back, and gets what it missed.
        assert await store.put(101, b"101.") == Stored.REPLICATED
        other.crash()
        ours.runs = True
        network.servers[1] = ours
        await asyncio.sleep(10)
        assert wanted | {b"d:{101}"} <= {*ours.keys(0), *ours.keys(1)}

    with caplog.at_level(logging.INFO, "shards.healer"):
        play(scene)
    said = [record.getMessage() for record in caplog.records]
    assert any("redis1 has lost its disk or is another server: copying" in one for one in said)


def test_healing_that_is_slow_is_finished_though_several_processes_want_to_do_it():
    """Who copies must not lose its lease between two batches: the next would begin anew."""

    async def scene(store: ShardedStore, servers: list[FakeRedis]) -> None:
        ids = range(1, 401)
        await asyncio.gather(*(store.put(i, b"value") for i in ids))
        await asyncio.sleep(60)  # they have met
        servers[0].crash()
        servers[0].wipe()
        servers[0].runs = True
        async with ShardedStore(store.settings), ShardedStore(store.settings):
            await asyncio.sleep(600)  # 400 records, 2 a second: 200 s by one of them
        assert len({*servers[0].keys(0), *servers[0].keys(1)}) == 400
        peers, identity = servers[1].keys(2)[b"peers"], servers[0].keys(2)[b"identity"]
        assert peers[b"redis1"] == identity, "never finished"

    play(scene, heal_records_per_second=2.0)
