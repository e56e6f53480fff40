"""The store on two real servers that work."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import shards
from monitoring.exposition import render
from monitoring.page import MetricsPage
from shards import (
    MAX_ID,
    RecordConflictError,
    ShardedStore,
    Stored,
    StoreSettings,
    StoreUnavailableError,
)
from shards.placement import Placement
from shards.records import key_of
from tests.exposition_text import parse, sample
from tests.redis_server import RedisServer

PLACEMENT = Placement(["redis1", "redis2"])


def patient(servers: list[RedisServer], **others: Any) -> StoreSettings:
    """Nothing here is about time, and the test machine may be busy."""
    urls = tuple(server.url for server in servers)
    return StoreSettings(urls, operation_timeout_seconds=10.0, **others)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with (
        RedisServer(tmp_path_factory.mktemp("redis1")) as first,
        RedisServer(tmp_path_factory.mktemp("redis2")) as second,
    ):
        yield [first, second]


@pytest.fixture
async def store(servers: list[RedisServer]) -> AsyncIterator[ShardedStore]:
    for server in servers:
        assert server.command("FLUSHALL") == b"+OK\r\n"
    async with ShardedStore(patient(servers)) as store:
        yield store


@pytest.mark.parametrize("wrong", [-1, MAX_ID + 1, True, "1", None])
async def test_what_is_no_id_is_refused_before_anything_is_sent(store: ShardedStore, wrong):
    with pytest.raises(ValueError, match="record id"):
        await store.put(wrong, b"value")
    with pytest.raises(ValueError, match="record id"):
        await store.get(wrong)


async def test_a_value_over_the_limit_is_refused_and_nothing_is_written(store: ShardedStore):
    with pytest.raises(ValueError, match="65537 bytes: at most 65536 are allowed"):
        await store.put(1, b"x" * 65537)
    assert await store.get(1) is None
    assert await store.sizes() == {"redis1": 0, "redis2": 0}


async def test_an_id_in_use_for_another_value_is_a_loud_error_and_the_first_value_stays(
    store: ShardedStore,
):
    assert await store.put(1, b"first") == Stored.REPLICATED
    with pytest.raises(RecordConflictError, match=r"record 1 exists on redis\d with another value"):
        await store.put(1, b"second")
    assert await store.get(1) == b"first"


async def test_the_same_write_again_is_stored(store: ShardedStore):
    assert await store.put(1, b"same") == "replicated"
    assert await store.put(1, b"same") == "replicated"


async def test_a_record_that_was_never_written_is_certainly_absent(store: ShardedStore):
    assert await store.get(404) is None


@pytest.mark.parametrize(
    "value", [b"", b"\r\n$-1\r\n", bytes(range(256)) * 4, b"x" * 65536], ids=len
)
async def test_any_bytes_up_to_the_limit_come_back_as_they_were(store: ShardedStore, value: bytes):
    assert await store.put(MAX_ID, value) == Stored.REPLICATED
    assert await store.get(MAX_ID) == value


async def test_a_thousand_records_spread_evenly_and_each_lies_where_the_placement_says(
    store: ShardedStore, servers: list[RedisServer]
):
    ids = range(7_000_000, 7_001_000)
    for record_id in ids:
        assert await store.put(record_id, b"%d" % record_id) == Stored.REPLICATED
        assert await store.get(record_id) == b"%d" % record_id
    sizes = await store.sizes()
    assert sum(size or 0 for size in sizes.values()) == 1000
    assert all(400 <= (size or 0) <= 600 for size in sizes.values())
    for record_id in ids[:50]:
        owner = PLACEMENT.owners(record_id)[0]
        server = servers[["redis1", "redis2"].index(owner)]
        assert server.command(f"EXISTS {key_of(record_id).decode()}") == b":1\r\n"


@pytest.mark.parametrize(
    ("ttl", "least", "most"), [(86400.0, 86_000_000, 86_400_000), (30.0, 1, 30_000), (0.0, -1, -1)]
)
async def test_records_expire_when_the_setting_says(
    servers: list[RedisServer], ttl: float, least: int, most: int
):
    record_id = 20_000 + int(ttl)
    async with ShardedStore(patient(servers, ttl_seconds=ttl)) as store:
        await store.put(record_id, b"value")
    server = servers[["redis1", "redis2"].index(PLACEMENT.owners(record_id)[0])]
    left = int(server.command(f"PTTL {key_of(record_id).decode()}")[1:])
    assert least <= left <= most


async def test_however_many_callers_there_are_they_share_one_connection_to_a_shard(
    servers: list[RedisServer],
):
    def connections() -> int:
        clients = servers[0].command("INFO clients")
        return int(clients.split(b"connected_clients:")[1].split()[0])

    before = connections()
    async with ShardedStore(patient(servers)) as store:
        stored = await asyncio.gather(*(store.put(i, b"v") for i in range(300)))
        assert connections() - before <= 1
    assert set(stored) == {Stored.REPLICATED}


async def test_both_owners_hold_a_record_and_each_counts_it_once(
    store: ShardedStore, servers: list[RedisServer]
):
    for record_id in range(100):
        assert await store.put(record_id, b"value") == Stored.REPLICATED
    sizes = await store.sizes()
    assert sum(size or 0 for size in sizes.values()) == 100
    for server in servers:
        keyspace = server.command("INFO keyspace").decode()
        found = [int(n) for n in re.findall(r"db[01]:keys=(\d+)", keyspace)]
        assert sum(found) == 100


async def test_every_operation_is_counted_and_the_series_exist_before_the_first(
    servers: list[RedisServer],
):
    page = MetricsPage(None)
    recorder = page.recorder(0)
    store = ShardedStore(patient(servers), recorder=recorder)
    for shard, op, result in product(
        ("redis1", "redis2"), ("get", "set", "probe"), ("ok", "error", "timeout")
    ):
        assert ("redis_operations_total", "", (shard, op, result)) in page.series()
    record_id = next(i for i in range(30_000, 30_100) if PLACEMENT.owners(i)[0] == "redis2")
    await store.put(record_id, b"value")
    await store.get(record_id)
    await store.get(record_id)
    await store.close()
    text = parse(render([page]))
    total = "redis_operations_total"
    assert text[sample(total, shard="redis2", op="set", result="ok")] == 1
    assert text[sample(total, shard="redis2", op="get", result="ok")] == 2
    assert text[sample(total, shard="redis1", op="get", result="ok")] == 0
    seconds = "redis_operation_duration_seconds_count"
    assert text[sample(seconds, shard="redis2", op="get")] == 2


async def test_a_store_can_be_closed_twice_and_leaves_no_connection(servers: list[RedisServer]):
    store = ShardedStore(patient(servers))
    await store.open()
    assert b"connected_clients:2\r\n" in servers[0].command("INFO clients")  # it and we who ask
    await store.close()
    await store.close()
    servers[0].wait_for("INFO clients", b"connected_clients:1\r\n")


async def test_a_closed_store_opens_no_connection_again(servers: list[RedisServer]):
    store = ShardedStore(patient(servers))
    await store.open()
    await store.close()
    assert await store.put(40_000, b"value") is Stored.NONE
    with pytest.raises(StoreUnavailableError, match="the store was closed"):
        await store.get(40_000)
    servers[0].wait_for("INFO clients", b"connected_clients:1\r\n")


async def test_a_new_connection_sends_nothing_but_our_commands(servers: list[RedisServer]):
    """No HELLO, CLIENT SETINFO or CLIENT MAINT_NOTIFICATIONS; who the server is, is asked, and it
    is told by which map we write."""
    server = servers[0]
    assert server.command("CONFIG RESETSTAT") == b"+OK\r\n"
    async with ShardedStore(patient(servers[:1])) as store:
        await asyncio.gather(*(store.put(i, b"value") for i in range(40_000, 40_010)))
        await store.get(40_000)
    stats = server.command("INFO commandstats").decode()
    commands = {line.split(":")[0] for line in stats.splitlines() if line.startswith("cmdstat_")}
    asked_here = {"cmdstat_config|resetstat", "cmdstat_info"}
    assert commands - asked_here == {
        "cmdstat_dbsize", "cmdstat_set", "cmdstat_get", "cmdstat_select",
        "cmdstat_smembers", "cmdstat_sadd", "cmdstat_multi", "cmdstat_exec",
    }  # fmt: skip


async def test_a_password_is_used(tmp_path: Path):
    with RedisServer(tmp_path, "--requirepass", "s3cret").start(wait=False) as server:
        server.wait_for("PING", b"-NOAUTH")
        wrong = ShardedStore(StoreSettings((server.url.replace("//", "//:wrong@"),)))
        assert await wrong.put(1, b"value") == Stored.NONE
        await wrong.close()
        right = ShardedStore(StoreSettings((server.url.replace("//", "//:s3cret@"),)))
        assert await right.put(1, b"value") == Stored.REPLICATED
        await right.close()


def test_the_example_in_the_docstring_runs_and_prints_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    example = dedent((shards.__doc__ or "").split("::\n\n")[1].split("\n\nWhat holds")[0])
    assert len(list(filter(None, example.splitlines()))) <= 10
    code = example
    with RedisServer(tmp_path / "1") as first, RedisServer(tmp_path / "2") as second:
        for port, server in (("6379", first), ("6380", second)):
            assert f"redis://127.0.0.1:{port}" in code
            code = code.replace(f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
        exec(compile(code, "docstring", "exec"), {"__name__": "example"})  # noqa: S102
    promised = [line.split("# ")[1] for line in example.splitlines() if "print" in line]
    assert capsys.readouterr().out.splitlines() == promised
