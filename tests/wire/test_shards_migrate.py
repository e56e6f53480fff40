"""`python -m shards migrate FROM TO`, between plain servers and a cluster of one master."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shards import Stored, StoreSettings, split_urls, store_for
from tests.redis_cluster import RedisCluster
from tests.redis_server import RedisServer, free_port

IDS = range(1, 801)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "redis1") as first, RedisServer(tmp_path / "redis2") as second:
        yield first, second


def value_of(record_id: int) -> bytes:
    return b"%d." % record_id * (1 + record_id % 30)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "shards", "migrate", *arguments]


def migrate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, check=False
    )


async def fill(url: str, ttl_seconds: float = 600.0) -> None:
    settings = StoreSettings(
        split_urls(url),
        ttl_seconds=ttl_seconds,
        connect_timeout_seconds=2.0,
        operation_timeout_seconds=5.0,
    )
    store = store_for(settings)
    await store.open()
    for start in range(0, len(IDS), 500):
        part = IDS[start : start + 500]
        outcomes = await asyncio.gather(*(store.put(i, value_of(i)) for i in part))
        assert set(outcomes) == {Stored.REPLICATED}
    await store.close()


async def holds_everything(url: str, but: int | None = None) -> None:
    store = store_for(
        StoreSettings(split_urls(url), connect_timeout_seconds=2.0, operation_timeout_seconds=5.0)
    )
    values = await asyncio.gather(*map(store.get, IDS))
    wrong = [i for i, value in zip(IDS, values, strict=True) if value != value_of(i) and i != but]
    assert wrong == []
    await store.close()


async def test_everything_goes_to_a_cluster_and_back_with_its_time_to_live(
    tmp_path: Path, servers: tuple[RedisServer, RedisServer]
):
    first, second = servers
    await fill(first.url)
    with RedisCluster(tmp_path / "cluster", masters=1, replicas=False) as cluster:
        there = migrate("--json", first.url, cluster.url)
        assert (there.returncode, there.stderr) == (0, "")
        told = json.loads(there.stdout)
        assert (told["copied"], told["verified"], told["conflicts"]) == (800, 800, [])
        await holds_everything(cluster.url)
        ttl = int(cluster.nodes[0].command("PTTL d:{77}")[1:])
        assert 500_000 < ttl <= 600_000
        again = migrate("--json", first.url, cluster.url)
        assert (json.loads(again.stdout)["copied"], json.loads(again.stdout)["present"]) == (0, 800)
        cluster.nodes[0].command("PERSIST d:{1}")
        back = migrate(cluster.url, second.url)
        assert back.returncode == 0
        assert "800 records copied, 0 there already, 800 verified" in back.stdout
        await holds_everything(second.url)
        assert second.command("PTTL d:{1}") == b":-1\r\n"
        assert 400_000 < int(second.command("PTTL d:{2}")[1:]) <= 600_000


def interrupted(first: RedisServer, second: RedisServer) -> tuple[int, str]:
    running = subprocess.Popen(
        command(first.url, second.url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    second.wait_for("INFO keyspace", b"db0:keys=")
    second.freeze()  # in the middle, however fast it is
    running.send_signal(signal.SIGINT)
    time.sleep(0.1)
    second.thaw()
    _, said = running.communicate(timeout=30)
    return running.returncode, said


async def test_an_interrupted_one_goes_on_where_it_was(
    tmp_path: Path, servers: tuple[RedisServer, RedisServer]
):
    first, second = servers
    await fill(first.url)
    code, said = await asyncio.to_thread(interrupted, first, second)
    assert code == 130
    assert said == "Interrupted. Nothing is lost: run it again to go on.\n"
    ended = migrate("--json", first.url, second.url)
    assert ended.returncode == 0
    told = json.loads(ended.stdout)
    assert told["present"] > 0
    assert told["verified"] == 800
    await holds_everything(second.url)


async def test_an_id_that_holds_another_value_is_named_and_left_as_it_is(
    servers: tuple[RedisServer, RedisServer],
):
    first, second = servers
    await fill(first.url)
    second.command("SET d:{5} theirs")
    ended = migrate(first.url, second.url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: TO: 1 records hold other values there")
    assert "799 records copied" in ended.stdout
    assert second.command("GET d:{5}") == b"$6\r\ntheirs\r\n"
    await holds_everything(second.url, but=5)


def test_a_side_that_fails_is_one_line_that_names_it(
    tmp_path: Path, servers: tuple[RedisServer, RedisServer]
):
    first, second = servers
    first.command("SET d:{1} value")
    nobody = f"redis://127.0.0.1:{free_port()}"
    for arguments, said in [
        ((nobody, first.url), "Error: FROM: redis1: connection refused"),
        ((first.url, nobody), "Error: TO: redis1: connection refused"),
    ]:
        ended = migrate(*arguments)
        assert ended.returncode == 1
        assert ended.stderr.startswith(said)
        assert ended.stderr.count("\n") == 1
    second.command("CONFIG SET maxmemory 1")
    ended = migrate(first.url, second.url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: TO: redis1: OOM")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("redis://a:1", "redis://a:1"), "a:1 is on both sides"),
        (("redis://a:1", "http://b:1"), "Invalid value for 'TO'"),
        (("redis://a:1", "redis+cluster://b:1/2"), "names a database"),
        (("--copies", "2", "redis://a:1", "redis://b:1"), "more than there are shards"),
        (("redis://a:1",), "Missing argument 'TO'"),
    ],
)
def test_a_bad_argument_is_one_line(arguments: tuple[str, ...], said: str):
    ended = migrate(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr.splitlines()[-1]


async def test_two_shards_get_both_copies(tmp_path: Path, servers: tuple[RedisServer, RedisServer]):
    first, second = servers
    with RedisServer(tmp_path / "old") as old:
        await fill(old.url)
        ended = migrate(old.url, f"{first.url},{second.url}")
        assert (ended.returncode, ended.stderr) == (0, "")
    sizes = [server.command("INFO keyspace") for server in (first, second)]
    for size in sizes:  # its own and the copies of the other's
        found = [int(count) for count in re.findall(rb"db[01]:keys=([0-9]+)", size)]
        assert len(found) == 2
        assert sum(found) == len(IDS)
    second.stop()
    await holds_everything(f"{first.url},{second.url}")
