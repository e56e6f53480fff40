"""A shard that lost its disk, and how far its healing is: in the metrics, in the log and in
`python -m shards status`; whoever heals is killed in the middle."""

import asyncio
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitoring.page import MetricsPage
from shards import ShardedStore, Stored, StoreSettings
from tests.redis_server import RedisServer

IDS = range(1, 601)

SLOW_HEALER = """
import asyncio, sys
from shards import ShardedStore, StoreSettings
async def main():
    settings = StoreSettings(tuple(sys.argv[1:]), heal_records_per_second=25.0)
    async with ShardedStore(settings):
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "redis1") as first, RedisServer(tmp_path / "redis2") as second:
        yield first, second


def settings(servers: tuple[RedisServer, RedisServer]) -> StoreSettings:
    urls = tuple(server.url for server in servers)
    return StoreSettings(urls, connect_timeout_seconds=2.0, operation_timeout_seconds=5.0)


def wipe(server: RedisServer) -> None:
    server.kill()
    shutil.rmtree(server.data)
    server.data.mkdir()
    server.start()


def status(servers: tuple[RedisServer, RedisServer]) -> str:
    store = ",".join(server.url for server in servers)
    asked = [sys.executable, "-m", "shards", "status", "--json", "--store", store]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def records_on(server: RedisServer) -> int:
    script = "local n = 0 for d=0,1 do redis.call('SELECT',d) n=n+redis.call('DBSIZE') end return n"
    return int(server.command(f'EVAL "{script}" 0')[1:])


def knows(server: RedisServer, peer: str) -> bool:
    script = f"redis.call('SELECT',2) return redis.call('HEXISTS','peers','{peer}')"
    return server.command(f'EVAL "{script}" 0') == b":1\r\n"


async def test_healing_is_seen_and_its_killed_healer_loses_nothing(
    servers: tuple[RedisServer, RedisServer], caplog: pytest.LogCaptureFixture
):
    async with ShardedStore(settings(servers)) as store:
        outcomes = await asyncio.gather(*(store.put(i, b"%d." % i) for i in IDS))
        assert set(outcomes) == {Stored.REPLICATED}
        await asyncio.to_thread(until, lambda: knows(servers[1], "redis1"), "they have met")
    await asyncio.to_thread(wipe, servers[0])
    urls = [server.url for server in servers]
    healer = await asyncio.create_subprocess_exec(sys.executable, "-c", SLOW_HEALER, *urls)
    await asyncio.to_thread(until, lambda: records_on(servers[0]) > 0, "healing has begun")
    told = await asyncio.to_thread(status, servers)
    healer.kill()
    await healer.wait()
    script = "redis.call('SELECT',2) return redis.call('DEL','lease')"
    servers[1].command(f'EVAL "{script}" 0')  # as five seconds later
    first = json.loads(told)["shards"][0]
    assert 0 <= first["scan_done"] < first["scan_total"] == len(IDS)
    assert records_on(servers[0]) < len(IDS)

    recorder = MetricsPage(None).recorder(0)
    expected = recorder.gauge("store_scan_records_expected", shard="redis1")
    highest = 0.0
    with caplog.at_level(logging.INFO, "shards.healer"):
        async with ShardedStore(settings(servers), recorder=recorder) as store:
            deadline = time.monotonic() + 30
            while records_on(servers[0]) < len(IDS) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
                highest = max(highest, expected.value)
            assert all([await store.get(i) == b"%d." % i for i in IDS])
            await asyncio.to_thread(until, lambda: expected.value == 0, "the scan is over")
    assert records_on(servers[0]) == records_on(servers[1]) == len(IDS)
    assert (highest, expected.value) == (len(IDS), 0.0)
    said = [record.getMessage() for record in caplog.records]
    assert any(
        line.startswith("redis1 has lost its disk or is another server: copying") for line in said
    )
    assert any(line.startswith("redis1 has got all it must have from redis2") for line in said)
