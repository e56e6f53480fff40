"""Records are found on real Redis servers, where the product puts them and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from shards import ShardedStore, StoreSettings
from tests.drills.answers import digest
from tests.drills.keyspace import copies_of, key_of
from tests.drills.stack import SHARDS
from tests.redis_server import RedisServer


class TwoShards:
    """As much of a stack as reading records needs."""

    def __init__(self, folder: Path) -> None:
        self.servers = {name: RedisServer(folder / name).start() for name in SHARDS}

    def redis(self, shard: str, *, database: int = 0) -> redis.Redis:
        return redis.Redis(port=self.servers[shard].port, db=database, socket_timeout=1)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoShards]:
    shards = TwoShards(tmp_path)
    yield shards
    for server in shards.servers.values():
        server.kill()


def value(number: int) -> bytes:
    return json.dumps({"data": {"n": number}, "source": "live"}).encode()


async def test_what_the_product_stores_is_found(two: TwoShards):
    urls = tuple(server.url for server in two.servers.values())
    async with ShardedStore(StoreSettings(urls)) as store:
        for number in range(50):
            assert await store.put(number, value(number)) != "none"
    copies = copies_of(two, list(range(51)))  # type: ignore[arg-type]
    assert all(digest({"n": number}) in copies[number] for number in range(50))
    assert copies[50] == []


def test_copies_are_counted_in_every_database(two: TwoShards):
    two.redis("redis1").set(key_of(1), value(1))
    two.redis("redis2", database=3).set(key_of(1), value(1))
    assert copies_of(two, [1]) == {1: [digest({"n": 1})] * 2}  # type: ignore[arg-type]


def test_more_records_than_one_command_asks_for_are_all_found(two: TwoShards):
    two.redis("redis2").mset({key_of(n): value(n) for n in range(1200)})
    copies = copies_of(two, list(range(1200)))  # type: ignore[arg-type]
    assert all(found == [digest({"n": number})] for number, found in copies.items())


def test_a_shard_that_does_not_answer_has_no_copies(two: TwoShards):
    two.redis("redis1").set(key_of(1), value(1))
    two.servers["redis1"].kill()
    assert copies_of(two, [1]) == {1: []}  # type: ignore[arg-type]
