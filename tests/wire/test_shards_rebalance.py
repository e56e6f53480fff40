"""A shard is added, a shard is taken out: `python -m shards rebalance` on real servers."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError
from shards.placement import Placement
from tests.redis_server import RedisServer

IDS = range(1, 1201)
TTL = 600.0
TWO, THREE = Placement(["redis1", "redis2"]), Placement(["redis1", "redis2", "redis3"])
NAMES = ["redis1", "redis2", "redis3"]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[RedisServer]]:
    with (
        RedisServer(tmp_path / "1") as first,
        RedisServer(tmp_path / "2") as second,
        RedisServer(tmp_path / "3") as third,
    ):
        yield [first, second, third]


@asynccontextmanager
async def opened(
    servers: list[RedisServer], copies: int = 2, leaving: str = ""
) -> AsyncIterator[ShardedStore]:
    settings = StoreSettings(
        tuple(urls(servers, leaving).split(",")),
        copies=copies, ttl_seconds=TTL,
        connect_timeout_seconds=2.0, operation_timeout_seconds=5.0, hedge_seconds=5.0,
    )  # fmt: skip
    async with ShardedStore(settings) as store:
        yield store


def urls(servers: list[RedisServer], leaving: str = "") -> str:
    return ",".join(
        server.url + ("?leaving" if name == leaving else "")
        for server, name in zip(servers, NAMES, strict=False)
    )


def command(urls: str, copies: int, *arguments: str) -> list[str]:
    asked = ["rebalance", "--store", urls, "--copies", str(copies), *arguments]
    return [sys.executable, "-m", "shards", *asked]


def rebalance(urls: str, copies: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(urls, copies, *arguments), capture_output=True, text=True, timeout=60, check=False
    )


def value_of(record_id: int) -> bytes:
    return b"%d." % record_id * (1 + record_id % 20)


async def fill(store: ShardedStore, ids: range) -> None:
    outcomes = await asyncio.gather(*(store.put(i, value_of(i)) for i in ids))
    assert set(outcomes) == {Stored.REPLICATED}


def forget_writers(servers: list[RedisServer]) -> None:
    """As five seconds after they ended."""
    script = (
        "redis.call('SELECT',2) for _,k in ipairs(redis.call('KEYS','writer:*'))"
        " do redis.call('DEL',k) end"
    )
    for server in servers:
        server.command(f'EVAL "{script}" 0')


def lying(server: RedisServer, database: int) -> set[int]:
    script = f"redis.call('SELECT',{database}) return cjson.encode(redis.call('KEYS','d:*'))"
    reply = b""
    for _ in range(3):  # a long reply may come in parts
        reply = long_reply(server, f'EVAL "{script}" 0')
        if reply:
            break
    keys = json.loads(reply) or []
    return {int(key[3:-1]) for key in keys}


def long_reply(server: RedisServer, line: str) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        stream = connection.makefile("rwb")
        stream.write(line.encode() + b"\r\n")
        stream.flush()
        return stream.read(int(stream.readline()[1:]))


def in_place(servers: list[RedisServer], placement: Placement, copies: int, ids: range) -> bool:
    """Whether every copy is where it must be, and none elsewhere."""
    ranks = [
        {i: placement.owners(i)[:copies].index(n) for i in ids if n in placement.owners(i)[:copies]}
        for n in NAMES
    ]
    return all(
        lying(server, 0) == {i for i, rank in own.items() if rank == 0}
        and lying(server, 1) == {i for i, rank in own.items() if rank > 0}
        for server, own in zip(servers, ranks, strict=False)
    )


def copies_of(servers: list[RedisServer]) -> Counter[int]:
    """Shards that hold each record."""
    return Counter(i for server in servers for i in lying(server, 0) | lying(server, 1))


async def test_of_one_copy_a_third_moves_to_a_new_shard_and_all_is_readable_meanwhile(servers):
    async with opened(servers[:2], copies=1) as store:
        await fill(store, IDS)
    forget_writers(servers)
    async with opened(servers, copies=1) as store:
        new = range(2001, 2101)
        await fill(store, new)
        assert lying(servers[2], 0) == {i for i in new if THREE.owners(i)[0] == "redis3"}
        arguments = command(urls(servers), 1, "--json", "--records-per-second", "1000")
        running = await asyncio.create_subprocess_exec(*arguments, stdout=-1, stderr=-1)
        rounds = 0
        while running.returncode is None:
            for i in range(rounds % 7 + 1, 1201, 7):
                assert await store.get(i) == value_of(i)
            with pytest.raises((AssertionError, StoreUnavailableError)):
                assert await store.get(10**9) is not None
            rounds += 1
        said, errors = await running.communicate()
        assert running.returncode == 0, errors
        told = json.loads(said)
        assert abs(told["copied"] / len(IDS) - 1 / 3) < 0.03
        assert told["copied"] == told["removed"]
        assert in_place(servers, THREE, 1, [*IDS, *new])
        ttls = [
            int(servers[2].command(f"PTTL d:{{{i}}}")[1:])
            for i in sorted(lying(servers[2], 0))[:50]
        ]
        assert all(TTL * 1000 - 60_000 < ttl <= TTL * 1000 for ttl in ttls)
    again = json.loads(rebalance(urls(servers), 1, "--json").stdout)
    assert (again["finished"], again["copied"], again["removed"]) == (True, 0, 0)


async def test_killed_again_and_again_it_leaves_no_record_with_fewer_copies(servers):
    async with opened(servers[:2]) as store:
        await fill(store, IDS)
    forget_writers(servers)
    for _ in range(3):
        before = copies_of(servers)
        running = subprocess.Popen(
            command(urls(servers), 2, "--records-per-second", "400"), stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while copies_of(servers) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
        copies = copies_of(servers)
        assert copies != before
        assert min(copies[i] for i in IDS) >= 2
        for server in servers:  # as five seconds later
            server.command("EVAL \"redis.call('SELECT',2) redis.call('DEL','rebalance')\" 0")
    ended = rebalance(urls(servers), 2)
    assert ended.returncode == 0, ended.stderr
    assert "every record is in its place" in ended.stdout
    assert "pass 1:" in ended.stderr
    assert in_place(servers, THREE, 2, IDS)
