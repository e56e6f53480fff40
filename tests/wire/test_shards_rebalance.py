"""A shard is added, a shard is taken out: `python -m shards rebalance` on real servers."""

import asyncio
import json
import os
import pty
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from shards import ShardedStore, Stored, StoreSettings, StoreUnavailableError
from shards.placement import Placement
from shards.rebalance_command import rebalance as rebalance_command
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
        copies=copies,
        ttl_seconds=TTL,
        connect_timeout_seconds=2.0,
        operation_timeout_seconds=5.0,
    )
    async with ShardedStore(settings) as store:
        yield store
    for server in servers:  # as five seconds after it was closed
        if not await asyncio.to_thread(is_dead, server):
            in_housekeeping(server, "for _,k in ipairs(c('KEYS','writer:*')) do c('DEL',k) end")


def is_dead(server: RedisServer) -> bool:
    try:
        return server.command("PING") != b"+PONG\r\n"
    except OSError:
        return True


def in_housekeeping(server: RedisServer, script: str) -> bytes:
    return server.command(f"EVAL \"local c = redis.call c('SELECT',2) {script}\" 0")


def urls(servers: list[RedisServer], leaving: str = "") -> str:
    return ",".join(
        server.url + ("?leaving" if name == leaving else "")
        for server, name in zip(servers, NAMES, strict=False)
    )


def command(urls: str, copies: int, *arguments: str) -> list[str]:
    asked = ["rebalance", "--store", urls, "--copies", str(copies), *arguments]
    return [sys.executable, "-m", "shards", *asked]


async def rebalance(urls: str, copies: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, command(urls, copies, *arguments),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def value_of(record_id: int) -> bytes:
    return b"%d." % record_id * (1 + record_id % 20)


async def fill(store: ShardedStore, ids: Iterable[int]) -> None:
    outcomes = await asyncio.gather(*(store.put(i, value_of(i)) for i in ids))
    assert set(outcomes) == {Stored.REPLICATED}


def lying(server: RedisServer, database: int) -> set[int]:
    """Ids of the records in a database."""
    script = f"redis.call('SELECT',{database}) return cjson.encode(redis.call('KEYS','d:*'))"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        stream = connection.makefile("rwb")
        stream.write(f'EVAL "{script}" 0\r\n'.encode())
        stream.flush()
        keys = json.loads(stream.read(int(stream.readline()[1:])))
    return {int(key[3:-1]) for key in keys}


def lying_on(server: RedisServer) -> set[int]:
    return lying(server, 0) | lying(server, 1)


def in_place(
    servers: list[RedisServer], placement: Placement, copies: int, ids: Iterable[int]
) -> bool:
    """Whether every copy is where it must be, and none elsewhere."""
    must: dict[tuple[str, int], set[int]] = {}
    for i in ids:
        for rank, name in enumerate(placement.owners(i)[:copies]):
            must.setdefault((name, min(rank, 1)), set()).add(i)
    return all(
        lying(server, database) == must.get((name, database), set())
        for server, name in zip(servers, NAMES, strict=False)
        for database in (0, 1)
    )


def copies_of(servers: list[RedisServer]) -> Counter[int]:
    """Shards that hold each record."""
    return Counter(i for server in servers for i in lying_on(server))


def wait_for_change(servers: list[RedisServer], before: Counter[int]) -> None:
    deadline = time.monotonic() + 30
    while copies_of(servers) == before and time.monotonic() < deadline:
        time.sleep(0.05)


async def test_of_one_copy_a_third_moves_to_a_new_shard_and_all_is_readable_meanwhile(servers):
    async with opened(servers[:2], copies=1) as store:
        await fill(store, IDS)
    async with opened(servers, copies=1) as store:
        new = range(2001, 2101)
        await fill(store, new)
        assert lying(servers[2], 0) == {i for i in new if THREE.owners(i)[0] == "redis3"}
        assert [shard.rebalance for shard in await store.status()] == [True, True, False]
        arguments = command(urls(servers), 1, "--json", "--records-per-second", "1000")
        running = await asyncio.create_subprocess_exec(*arguments, stdout=-1, stderr=-1)
        rounds = 0
        while running.returncode is None:
            for i in range(rounds % 7 + 1, 1201, 7):
                assert await store.get(i) == value_of(i)
            assert await store.get(10**9) is None
            rounds += 1
        said, errors = await running.communicate()
        assert running.returncode == 0, errors
        told = json.loads(said)
        assert abs(told["removed"] / len(IDS) - 1 / 3) < 0.03
        assert told["copied"] <= told["removed"]  # a record that is read is written back too
        assert in_place(servers, THREE, 1, [*IDS, *new])
        assert not any(shard.rebalance for shard in await store.status())
        for i in sorted(lying(servers[2], 0))[:50]:
            assert TTL - 60 < int(servers[2].command(f"PTTL d:{{{i}}}")[1:]) / 1000 <= TTL
    again = json.loads((await rebalance(urls(servers), 1, "--json")).stdout)
    assert (again["finished"], again["copied"], again["removed"]) == (True, 0, 0)


async def test_killed_again_and_again_it_leaves_no_record_with_fewer_copies(servers):
    async with opened(servers[:2]) as store:
        await fill(store, IDS)
    for _ in range(3):
        before = copies_of(servers)
        slow = command(urls(servers), 2, "--records-per-second", "400")
        running = await asyncio.create_subprocess_exec(*slow, stderr=subprocess.DEVNULL)
        await asyncio.to_thread(wait_for_change, servers, before)
        running.kill()
        await running.wait()
        copies = copies_of(servers)
        assert copies != before
        assert min(copies[i] for i in IDS) >= 2
        for server in servers:  # as five seconds later
            in_housekeeping(server, "c('DEL','rebalance')")
    ended = await rebalance(urls(servers), 2)
    assert ended.returncode == 0, ended.stderr
    assert "every record is in its place" in ended.stdout
    assert "pass 1:" in ended.stderr
    assert in_place(servers, THREE, 2, IDS)


async def test_a_shard_that_is_taken_out_is_read_until_it_is_empty_and_missed_by_nobody(servers):
    async with opened(servers) as store:
        await fill(store, IDS)
    new = range(2001, 2101)
    async with opened(servers, leaving="redis3") as store:
        before = lying_on(servers[2])
        await fill(store, new)
        assert lying_on(servers[2]) == before
        ended = await rebalance(urls(servers, leaving="redis3"), 2)
        assert ended.returncode == 0, ended.stderr
        assert "redis3 is empty: take it off the list" in ended.stdout
    assert lying_on(servers[2]) == set()
    await asyncio.to_thread(servers[2].kill)
    async with opened(servers[:2]) as store:
        for i in IDS[::10]:
            assert await store.get(i) == value_of(i)
        assert await store.get(10**9) is None
    assert in_place(servers[:2], TWO, 2, [*IDS, *new])


async def test_from_shards_that_are_full_what_must_move_moves(servers):
    """Why else would one add a shard?"""
    async with opened(servers[:2], copies=1) as store:
        await fill(store, IDS[:300])
    for server in servers[:2]:
        server.command("CONFIG SET maxmemory 1")
    ended = await rebalance(urls(servers), 1)
    assert ended.returncode == 0, ended.stderr
    assert in_place(servers, THREE, 1, IDS[:300])


async def test_absent_is_said_only_when_no_former_owner_may_have_it(servers):
    async with opened(servers[:2], copies=1) as store:
        await fill(store, IDS[:60])
    moves = next(i for i in IDS if (TWO.owners(i)[0], THREE.owners(i)[0]) == ("redis1", "redis3"))
    unknown = next(i for i in range(10**9, 10**10) if THREE.owners(i)[0] == "redis3")
    async with opened(servers, copies=1) as store:
        await asyncio.to_thread(servers[0].kill)
        for record_id in (moves, unknown):
            with pytest.raises(StoreUnavailableError, match="redis1"):
                await store.get(record_id)
        servers[0].start()
        assert (await rebalance(urls(servers), 1)).returncode == 0
        await asyncio.to_thread(servers[0].kill)
        assert await store.get(moves) == value_of(moves)
        assert await store.get(unknown) is None, "the new owner has all it must have"


async def test_who_was_not_told_of_the_new_shard_denies_none_of_its_records_and_is_named(servers):
    async with opened(servers[:2], copies=1) as old:
        await fill(old, IDS[:60])
        async with opened(servers, copies=1) as new:
            there = next(i for i in range(6000, 7000) if THREE.owners(i)[0] == "redis3")
            await fill(new, [there])
            with pytest.raises(StoreUnavailableError, match="redis3: may have it"):
                await old.get(there)
            before = copies_of(servers)
            refused = await rebalance(urls(servers), 1)
            assert copies_of(servers) == before
    assert refused.returncode == 1
    assert "somebody writes by another map: redis1, redis2 (1 copy)." in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_a_shard_that_had_records_is_not_forgotten_by_oversight(servers):
    async with opened(servers) as store:
        await fill(store, IDS[:200])
    ended = await rebalance(urls(servers[:2]), 2)
    assert ended.returncode == 1
    assert "redis3 had records and is not among the shards." in ended.stderr
    assert "redis://HOST:PORT?leaving#redis3" in ended.stderr
    await asyncio.to_thread(servers[2].kill)  # the second copies are all there
    ended = await rebalance(urls(servers[:2]), 2, "--gone", "redis3")
    assert ended.returncode == 0, ended.stderr
    assert in_place(servers[:2], TWO, 2, IDS[:200])


async def test_on_a_terminal_there_is_a_bar_and_a_shard_that_is_down_is_one_line(servers):
    async with opened(servers) as store:
        await fill(store, IDS[:100])
    leader, follower = pty.openpty()
    shown = await asyncio.create_subprocess_exec(
        *command(urls(servers), 2), stderr=follower, stdout=subprocess.DEVNULL,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(follower)
    assert await shown.wait() == 0
    assert "━" in os.read(leader, 65536).decode(errors="replace")
    os.close(leader)
    await asyncio.to_thread(servers[1].kill)
    ended = await rebalance(urls(servers), 2)
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("Error")]
    assert line == "Error: redis2: connection refused. Nothing is lost: run it again to go on."


def test_a_shard_that_is_there_is_not_gone():
    """It would lose the hints of what it has yet to get."""
    told = ["--store", "redis://a:1,redis://b:2", "--gone", "redis2"]
    ended = CliRunner().invoke(rebalance_command, told)
    assert ended.exit_code == 2
    assert "redis2 is among the shards of --store" in ended.output
