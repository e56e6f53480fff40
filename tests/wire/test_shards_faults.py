"""Random faults on two real servers: the sequences of tests/unit/test_shards_model.py, a few of
them, seeded. STORE_FAULT_SEQUENCES runs more."""

import asyncio
import json
import os
import random
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shards import StoreSettings
from tests.redis_server import RedisServer
from tests.shard_faults import Drive, Kind, random_steps

SEEDS = range(int(os.environ.get("STORE_FAULT_SEQUENCES", "1")))


class OnServers:
    def __init__(self, servers: tuple[RedisServer, RedisServer]) -> None:
        self.servers = servers
        self.urls = (servers[0].url, servers[1].url)
        self._away: set[int] = set()

    async def do(self, kind: Kind, shard: int, amount: int) -> None:
        server = self.servers[shard]
        match kind:
            case "crash":
                self._away.add(shard)
                await asyncio.to_thread(server.kill)
            case "start":
                await asyncio.to_thread(server.start)
                self._away.discard(shard)
            case "freeze":
                server.freeze()
                self._away.add(shard)
            case "thaw":
                server.thaw()
                self._away.discard(shard)
            case "fill":
                server.command("CONFIG SET maxmemory 1")
            case "empty":
                server.command("CONFIG SET maxmemory 0")
            case "lose disk":
                shutil.rmtree(server.data)
                server.data.mkdir()
            case "cut":
                server.command("CLIENT KILL TYPE normal")

    def records(self, shard: int) -> set[int]:
        keys = self._told(shard, 0, "c('KEYS','d:*')") + self._told(shard, 1, "c('KEYS','d:*')")
        return {int(key[3:-1]) for key in keys}

    def observable(self, shard: int) -> bool:
        return shard not in self._away

    def uncovered(self, shard: int, record_ids: Sequence[int]) -> list[int]:
        other = f"redis{2 - shard}"
        known = self._told(shard, 2, f"{{c('HGET','peers','{other}')}}")
        if known == [False] or known != self._told(1 - shard, 2, "{c('GET','identity')}"):
            return []  # another disk: everything will be copied
        hints = set(map(int, self._told(shard, 2, f"c('SMEMBERS','hints:{other}')")))
        return [i for i in record_ids if i not in hints]

    def _told(self, shard: int, database: int, question: str) -> list[Any]:
        script = f"local c = redis.call c('SELECT',{database}) return cjson.encode({question})"
        address = ("127.0.0.1", self.servers[shard].port)
        with socket.create_connection(address, timeout=10) as connection:
            stream = connection.makefile("rwb")
            stream.write(f'EVAL "{script}" 0\r\n'.encode())
            stream.flush()
            found = json.loads(stream.read(int(stream.readline()[1:])))
        return found if isinstance(found, list) else []  # Lua's empty table is {}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "1") as first, RedisServer(tmp_path / "2") as second:
        yield first, second


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_acknowledged_is_lost_or_denied_whatever_faults_come(servers, seed: int):
    world = OnServers(servers)
    steps = random_steps(random.Random(seed), 25)
    settings = StoreSettings(world.urls, ttl_seconds=0.0)
    assert await Drive(world, settings).run(steps) > 0, "this sequence shows nothing"
