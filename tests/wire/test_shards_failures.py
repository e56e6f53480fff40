"""Real servers that are gone, frozen, killed, full, read-only or still loading; one copy.

What two copies make of it: test_shards_copies.py.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from monitoring.page import MetricsPage, Recorder
from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError
from shards.placement import Placement
from tests.balancer_process import eventually
from tests.redis_server import RedisServer, free_port

PLACEMENT = Placement(["redis1", "redis2"])
TIMEOUT = 1.0  # the default is 0.25 s; a busy test machine must not look like a frozen shard


@pytest.fixture
def first(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis1") as server:
        yield server


@pytest.fixture
def second(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis2") as server:
        yield server


@pytest.fixture
def recorder() -> Recorder:
    return MetricsPage(None).recorder(0)


@pytest.fixture
async def store(
    first: RedisServer, second: RedisServer, recorder: Recorder
) -> AsyncIterator[ShardedStore]:
    settings = StoreSettings((first.url, second.url), copies=1, operation_timeout_seconds=TIMEOUT)
    async with ShardedStore(settings, recorder=recorder) as store:
        yield store


def ids_on(shard: str, amount: int = 1) -> list[int]:
    return list(islice((i for i in count(1) if PLACEMENT.owners(i)[0] == shard), amount))


def operations(recorder: Recorder, shard: str, op: str, result: str) -> float:
    return recorder.counter("redis_operations_total", shard=shard, op=op, result=result).value


async def test_a_stopped_shard_is_an_answer_at_once_and_never_stored_or_absent(
    first: RedisServer, store: ShardedStore, recorder: Recorder
):
    ids = ids_on("redis1", 40)
    await asyncio.gather(*(store.put(i, b"before") for i in ids[:20]))
    await asyncio.to_thread(first.stop)
    started = time.perf_counter()
    for record_id in ids[20:]:
        assert await store.put(record_id, b"value") == Stored.NONE
    for record_id in ids:
        with pytest.raises(StoreUnavailableError, match="redis1: connection refused;") as caught:
            await store.get(record_id)
        assert caught.value.retry_after_seconds > 0
    each = (time.perf_counter() - started) / 60
    assert each < 0.025, "a few milliseconds: refused is no reason to wait"
    assert await store.sizes() == {"redis1": None, "redis2": 0}
    assert await store.up() == {"redis1": False, "redis2": True}
    assert operations(recorder, "redis1", "set", "error") >= 1


async def test_who_writes_on_and_on_while_no_shard_is_there_does_not_keep_them_away(
    tmp_path: Path,
):
    port = free_port()
    settings = StoreSettings((f"redis://127.0.0.1:{port}",), operation_timeout_seconds=TIMEOUT)
    async with ShardedStore(settings) as store:
        assert await store.put(1, b"value") == Stored.NONE
        with RedisServer(tmp_path / "redis1", port=port):
            deadline = time.monotonic() + 10
            while await store.put(1, b"value") == Stored.NONE:
                assert time.monotonic() < deadline, "never found again"


async def test_a_frozen_shard_costs_one_time_out_however_many_callers_wait(
    first: RedisServer, second: RedisServer, recorder: Recorder
):
    settings = StoreSettings((first.url, second.url), copies=1, operation_timeout_seconds=TIMEOUT)
    ids = ids_on("redis1", 64)
    async with ShardedStore(settings, recorder=recorder) as store:
        await store.put(ids[0], b"before")
        first.freeze()
        started = time.perf_counter()
        outcomes = await asyncio.gather(*(store.put(i, b"value") for i in ids[1:]))
        assert set(outcomes) == {Stored.NONE}
        took = time.perf_counter() - started
        assert took < 1.6 * TIMEOUT
        started = time.perf_counter()
        for record_id in ids:
            assert await store.put(record_id, b"value") == Stored.NONE
        assert time.perf_counter() - started < TIMEOUT, "it is known to be absent: nobody waits"
        with pytest.raises(StoreUnavailableError):
            await store.get(ids[0])
        assert await store.sizes() == {"redis1": None, "redis2": 0}
        assert operations(recorder, "redis1", "set", "timeout") == 63
        first.thaw()
        assert await _read_patiently(store, ids[0]) == b"before"


async def test_a_frozen_shard_delays_nothing_on_the_other(first: RedisServer, store: ShardedStore):
    first.freeze()
    stuck = [asyncio.create_task(store.put(i, b"value")) for i in ids_on("redis1", 100)]
    await asyncio.sleep(0)
    for record_id in ids_on("redis2", 50):
        assert await store.put(record_id, b"%d" % record_id) == Stored.REPLICATED
        assert await store.get(record_id) == b"%d" % record_id
        if any(task.done() for task in stuck):
            pytest.fail("100 operations took longer than a time-out of the frozen shard")
    assert set(await asyncio.gather(*stuck)) == {Stored.NONE}


async def test_replies_that_come_after_the_time_out_are_nobodys(
    first: RedisServer, store: ShardedStore
):
    ids = ids_on("redis1", 32)
    await asyncio.gather(*(store.put(i, b"%d" % i) for i in ids))
    first.freeze()
    late = await asyncio.gather(*map(store.get, ids), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailableError) for answer in late)
    first.thaw()
    await _read_patiently(store, ids[0])
    for _ in range(5):
        assert await asyncio.gather(*map(store.get, ids)) == [b"%d" % i for i in ids]


async def test_a_timed_out_write_is_not_stored_and_writing_it_again_is(
    first: RedisServer, store: ShardedStore
):
    (record_id,) = ids_on("redis1")
    await store.put(record_id + 10**9, b"opens the connection")
    first.freeze()
    assert await store.put(record_id, b"value") == Stored.NONE
    first.thaw()  # now the server reads the command, and carries it out for nobody
    assert await _read_patiently(store, record_id) == b"value"
    assert await store.put(record_id, b"value") == Stored.REPLICATED
    assert await store.get(record_id) == b"value"


async def test_a_shard_killed_under_load_keeps_every_acknowledged_record(
    first: RedisServer, store: ShardedStore
):
    outcomes: dict[int, Stored] = {}
    under_way = asyncio.Event()

    async def write(ids: Iterator[int]) -> None:
        for record_id in ids:
            outcomes[record_id] = await store.put(record_id, b"%d" % record_id)
            if len(outcomes) == 1500:
                under_way.set()

    ids = iter(range(1, 4001))
    writers = [asyncio.create_task(write(ids)) for _ in range(16)]
    await under_way.wait()
    await asyncio.to_thread(first.kill)
    await asyncio.gather(*writers)
    failed = {i for i, outcome in outcomes.items() if outcome == Stored.NONE}
    assert {PLACEMENT.owners(i)[0] for i in failed} == {"redis1"}
    first.start()
    acknowledged = [i for i in outcomes if i not in failed]
    assert len(acknowledged) > 1500
    for record_id in acknowledged:
        assert await _read_patiently(store, record_id) == b"%d" % record_id


async def _read_patiently(store: ShardedStore, record_id: int) -> bytes | None:
    """A shard that has just started may ask to try again; what it then says must be true."""
    for _ in range(50):
        try:
            return await store.get(record_id)
        except StoreUnavailableError:
            await asyncio.sleep(0.1)
    raise AssertionError(f"record {record_id} was not readable in five seconds")


async def test_a_shard_that_comes_back_is_used_by_the_next_operation(
    first: RedisServer, store: ShardedStore
):
    ids = ids_on("redis1", 20)
    await asyncio.gather(*(store.put(i, b"value") for i in ids))  # many idle connections
    await asyncio.to_thread(first.stop)
    await asyncio.to_thread(first.start)
    assert await asyncio.gather(*map(store.get, ids)) == [b"value"] * 20
    assert await store.up() == {"redis1": True, "redis2": True}


async def test_a_full_shard_refuses_writes_visibly_and_loses_nothing(tmp_path: Path):
    with RedisServer(tmp_path, "--maxmemory", "3mb") as server:
        async with ShardedStore(
            StoreSettings((server.url,), operation_timeout_seconds=TIMEOUT)
        ) as store:
            outcomes = [await store.put(i, b"%d" % i * 4000) for i in range(1, 400)]
            stored = [i for i, outcome in enumerate(outcomes, 1) if outcome == "replicated"]
            refused = [i for i, outcome in enumerate(outcomes, 1) if outcome == "none"]
            assert stored
            assert refused
            assert await store.sizes() == {"redis1": len(stored)}
            assert all([await store.get(i) == b"%d" % i * 4000 for i in stored])
            assert [await store.get(i) for i in refused] == [None] * len(refused)


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ],
)
async def test_a_shard_that_takes_no_writes_is_shown_as_such_for_as_long(
    first: RedisServer, store: ShardedStore, recorder: Recorder, off: str, on: str
):
    takes_writes = recorder.gauge("redis_shard_takes_writes", shard="redis1")
    one, other = ids_on("redis1", 2)
    assert await store.put(one, b"value") == Stored.REPLICATED
    assert takes_writes.value == 1
    first.command(off)
    assert await store.put(other, b"value") == Stored.NONE
    assert takes_writes.value == 0
    first.command(on)
    await eventually(lambda: takes_writes.value == 1, "the shard takes writes again")
    assert await store.put(other, b"value") == Stored.REPLICATED


async def refused_write(server: RedisServer, caplog: pytest.LogCaptureFixture) -> str:
    """What the log says of a write that the server refuses; it is not reported as stored."""
    async with ShardedStore(
        StoreSettings((server.url,), operation_timeout_seconds=TIMEOUT)
    ) as store:
        assert await store.put(1, b"value") == Stored.NONE
        assert await store.get(1) is None
    (line,) = [
        record.getMessage()
        for record in caplog.records
        if record.name == "shards.shard" and "set failed" in record.getMessage()
    ]
    return line


async def test_a_server_without_databases_for_copies_and_notes_is_not_written_to(tmp_path: Path):
    """All would go to database 0: a copy over the record, notes among the records."""
    with RedisServer(tmp_path, "--databases", "1") as server:
        async with ShardedStore(
            StoreSettings((server.url,), operation_timeout_seconds=TIMEOUT)
        ) as store:
            assert await store.put(1, b"value") == Stored.NONE
            with pytest.raises(StoreUnavailableError, match="ERR DB index is out of range"):
                await store.get(1)
        assert server.command("DBSIZE") == b":0\r\n"


async def test_a_read_only_replica_stores_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with RedisServer(tmp_path, "--replicaof", f"127.0.0.1 {free_port()}") as server:
        assert "set failed: READONLY" in await refused_write(server, caplog)


async def test_a_shard_that_cannot_write_its_disk_stores_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with RedisServer(tmp_path, "--save", "3600 1") as server:
        (server.data / "dump.rdb").mkdir()  # the snapshot cannot be moved to its place
        server.command("BGSAVE")
        server.wait_for("INFO persistence", b"rdb_last_bgsave_status:err")
        assert "set failed: MISCONF" in await refused_write(server, caplog)


async def test_a_loading_shard_is_not_up_stores_nothing_and_denies_nothing(tmp_path: Path):
    server = RedisServer(
        tmp_path, "--loading-process-events-interval-bytes", "1024", "--key-load-delay", "2000"
    )
    with server:
        async with ShardedStore(
            StoreSettings((server.url,), operation_timeout_seconds=TIMEOUT)
        ) as store:
            await asyncio.gather(*(store.put(i, b"x" * 100) for i in range(1, 1001)))
            server.command("BGREWRITEAOF")  # only a snapshot lets a loading server answer often
            server.wait_for("INFO persistence", b"aof_rewrite_in_progress:0")
            await asyncio.to_thread(server.kill)
            server.start(wait=False)  # 1000 keys, 2 ms each
            server.wait_for("PING", b"-LOADING")
            assert await store.up() == {"redis1": False}
            assert [status.state for status in await store.status()] == ["loading"]
            assert await store.put(2001, b"value") == Stored.NONE
            for record_id in (1, 5000):
                with pytest.raises(StoreUnavailableError, match="LOADING"):
                    await store.get(record_id)
            server.wait_for("PING", b"+PONG")
            assert await _read_patiently(store, 1) == b"x" * 100
            assert await store.get(5000) is None


async def test_a_store_opens_with_every_shard_dead_and_works_when_they_come(
    first: RedisServer, second: RedisServer
):
    await asyncio.to_thread(first.stop)
    second.freeze()
    async with ShardedStore(
        StoreSettings((first.url, second.url), copies=1, operation_timeout_seconds=TIMEOUT)
    ) as store:
        assert await store.sizes() == {"redis1": None, "redis2": None}
        first.start()
        second.thaw()
        for record_id in ids_on("redis1") + ids_on("redis2"):
            for _ in range(100):
                if await store.put(record_id, b"value") == Stored.REPLICATED:
                    break
                await asyncio.sleep(0.1)
            assert await store.get(record_id) == b"value"


async def test_a_dead_shard_is_said_once_in_the_log_and_not_once_a_request(
    first: RedisServer, store: ShardedStore, caplog: pytest.LogCaptureFixture
):
    await asyncio.to_thread(first.stop)
    with caplog.at_level(logging.WARNING, "shards"):
        for record_id in ids_on("redis1", 50):
            await store.put(record_id, b"value")
    (line,) = [record.getMessage() for record in caplog.records]
    where = f"127.0.0.1:{first.port}"
    assert line == f"shard redis1 ({where}): set failed: connection refused"
