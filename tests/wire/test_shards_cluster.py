"""The same store on a real Redis Cluster of three masters with a replica each."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from shards import (
    ClusterStore,
    RecordConflictError,
    ShardedStore,
    Stored,
    StoreSettings,
    StoreUnavailableError,
    split_urls,
    store_for,
)
from tests.redis_cluster import RedisCluster, free_cluster_port

IDS = range(1, 301)


def value_of(record_id: int) -> bytes:
    return b"%d." % record_id * (1 + record_id % 50)


async def test_a_cluster_is_a_store_like_any_other_and_goes_on_after_a_master_is_killed(
    tmp_path: Path,
):
    with RedisCluster(tmp_path, node_timeout_ms=500) as cluster:
        # The machine may be busy: nobody must look frozen.
        settings = StoreSettings(
            split_urls(cluster.url), connect_timeout_seconds=1.0, operation_timeout_seconds=2.0
        )
        store = store_for(settings)
        assert isinstance(store, ClusterStore)
        async with store:
            assert set(await asyncio.gather(*(store.put(i, value_of(i)) for i in IDS))) == {
                Stored.REPLICATED
            }
            sizes = await store.sizes()
            assert set(sizes) == {f"127.0.0.1:{node.port}" for node in cluster.masters}
            assert all(50 < (size or 0) < 150 for size in sizes.values())
            assert sum(size or 0 for size in sizes.values()) == len(IDS)
            assert [s.records for s in await store.status()] == list(sizes.values())
            assert await store.put(1, value_of(1)) == Stored.REPLICATED
            with pytest.raises(RecordConflictError):
                await store.put(1, b"other")
            with pytest.raises(ValueError, match="at most 65536"):
                await store.put(9, b"x" * 65537)
            await _read_with_cancelled_callers(store)
            await asyncio.to_thread(_wait_for_replicas, cluster)
            await asyncio.to_thread(cluster.masters[0].kill)
            await _until_all_are_read(store)
            assert await store.put(1_000_003, b"after") == Stored.REPLICATED
            assert await store.get(999_999) is None


async def _read_with_cancelled_callers(store: ClusterStore) -> None:
    """Every second caller goes away; the others get their own reply."""
    dice = random.Random(7)

    async def caller(record_id: int) -> int:
        read = asyncio.create_task(store.get(record_id))
        if record_id % 2:
            await asyncio.sleep(dice.choice([0, 0.0005, 0.002, 0.005]))
            read.cancel()
        try:
            assert await read == (value_of(record_id) if record_id in IDS else None)
        except asyncio.CancelledError:
            return 1
        return 0

    gone = await asyncio.gather(*(caller(dice.randrange(1, 350)) for _ in range(1000)))
    assert sum(gone) > 100
    assert await asyncio.gather(*map(store.get, IDS)) == [value_of(i) for i in IDS]


def _wait_for_replicas(cluster: RedisCluster) -> None:
    """What is not replicated yet would be lost, as the README says."""
    assert cluster.masters[0].command("WAIT 1 5000") == b":1\r\n"


async def _until_all_are_read(store: ClusterStore) -> None:
    """Meanwhile each read brings its value or an error, never anything else."""
    deadline = time.monotonic() + 30
    left = set(IDS)
    while left:
        assert time.monotonic() < deadline, f"never read again: {len(left)} records"
        for record_id in sorted(left):
            try:
                assert await store.get(record_id) == value_of(record_id)
            except StoreUnavailableError:
                break
            left.discard(record_id)


async def test_a_cluster_that_is_not_there_is_an_answer_and_never_stored_or_absent():
    settings = StoreSettings((f"redis+cluster://127.0.0.1:{free_cluster_port()}",))
    async with ClusterStore(settings) as store:
        assert await store.put(1, b"value") == Stored.NONE
        with pytest.raises(StoreUnavailableError, match="cluster: "):
            await store.get(1)
        assert await store.sizes() == {"cluster": None}
        assert await store.up() == {"cluster": False}
        assert [status.state for status in await store.status()] == ["down"]


def test_the_address_alone_says_which_store_it_is():
    shards = StoreSettings(("redis://127.0.0.1:6379",))
    cluster = StoreSettings(split_urls("redis+cluster://u:p@a:1,b:2"))
    assert [(a.host, a.password) for a in cluster.addresses] == [("a", "p"), ("b", "p")]
    assert isinstance(store_for(shards), ShardedStore)
    with pytest.raises(ValueError, match="needs redis\\+cluster"):
        ClusterStore(shards)
    with pytest.raises(ValueError, match="is a ClusterStore"):
        ShardedStore(cluster)
