"""`python -m shards status`, and the configurations as a user starts them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shards import ShardedStore, StoreSettings
from tests.redis_server import CONFIGURATION, RedisServer, find_binary, free_port


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with (
        RedisServer(tmp_path_factory.mktemp("redis1")) as first,
        RedisServer(tmp_path_factory.mktemp("redis2")) as second,
    ):
        assert second.command("SET d:{1} value") == b"+OK\r\n"
        yield [first, second]


def shards(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "STORE_URL"}
    return subprocess.run(
        [sys.executable, "-m", "shards", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=inherited | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("http://127.0.0.1:1", "store URL 'http://127.0.0.1:1': is not the address of a Redis"),
        ("redis://h:1,redis://h:1", "redis1 and redis2 are the same server"),
        ("", "at least one shard is needed"),
    ],
)
def test_a_bad_store_is_one_line_that_names_option_and_variable(urls: str, said: str):
    ended = shards("status", "--store", urls)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("Error")]
    assert "'--store'" in line
    assert "STORE_URL" in line
    assert said in line
    assert "Traceback" not in ended.stderr


def test_a_store_that_was_not_named_is_one_line_that_names_option_and_variable():
    ended = shards("status")
    assert ended.returncode == 2
    assert "Missing option '--store' (env var: 'STORE_URL')" in ended.stderr


def test_a_shard_that_is_down_is_shown_with_its_reason_and_ends_in_exit_code_1(
    servers: list[RedisServer],
):
    nobody = f"redis://127.0.0.1:{free_port()}"
    ended = shards("status", "--store", f"{nobody},{servers[1].url}")
    assert ended.returncode == 1
    rows = [line.split() for line in ended.stdout.splitlines()]
    down = ["redis1", nobody.removeprefix("redis://"), "down", "(connection", "refused)"]
    assert rows[1][:5] == down
    assert rows[2][:4] == ["redis2", f"127.0.0.1:{servers[1].port}", "up", "1"]
    assert ended.stderr == ""


def test_the_table_has_no_colours_and_nothing_cut_off_in_a_pipe(servers: list[RedisServer]):
    ended = shards("status", STORE_URL=",".join(server.url for server in servers))
    assert ended.returncode == 0
    assert "\x1b" not in ended.stdout
    assert "…" not in ended.stdout
    rows = [line.split() for line in ended.stdout.splitlines()[1:]]
    assert [row[-5:] for row in rows] == [["MiB", "of", "512", "on", "-"]] * 2
    assert len(rows) == 2


def test_a_shard_that_may_lose_records_is_shown_as_such(tmp_path: Path):
    careless = ("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    with RedisServer(tmp_path, *careless) as server:
        row = shards("status", "--store", server.url).stdout.splitlines()[1]
    assert row.split()[-4:] == ["evicts:", "allkeys-lru", "off", "-"]


def test_a_full_shard_is_shown_as_such_and_ends_in_exit_code_1(tmp_path: Path):
    with RedisServer(tmp_path, "--maxmemory", "1") as server:
        ended = shards("status", "--store", server.url)
    assert ended.returncode == 1
    assert "up (full: takes no writes)" in ended.stdout


async def test_one_copy_a_record_is_no_reason_to_rebalance(tmp_path: Path):
    with RedisServer(tmp_path / "1") as first, RedisServer(tmp_path / "2") as second:
        urls = (first.url, second.url)
        async with ShardedStore(StoreSettings(urls, copies=1)):
            pass
        asked = ("status", "--json", "--store", ",".join(urls))
        told = json.loads((await asyncio.to_thread(shards, *asked, STORE_COPIES="1")).stdout)
        assert [shard["rebalance"] for shard in told["shards"]] == [False, False]
        refused = await asyncio.to_thread(shards, *asked, "--copies", "3")
    assert refused.returncode == 2
    assert "copies 3: more than there are shards (2)" in refused.stderr


def test_a_script_gets_json(servers: list[RedisServer]):
    ended = shards("status", "--json", "--store", ",".join(server.url for server in servers))
    assert ended.returncode == 0
    first, second = json.loads(ended.stdout)["shards"]
    assert (first["name"], first["state"], first["records"]) == ("redis1", "up", 0)
    assert (second["name"], second["state"], second["records"]) == ("redis2", "up", 1)
    assert second["address"] == f"127.0.0.1:{servers[1].port}"
    assert second["memory_max_bytes"] == 512 * 1024 * 1024
    assert 0 < second["memory_used_bytes"] < second["memory_max_bytes"]
    assert second["memory_policy"] == "noeviction"
    assert second["aof_enabled"] is True


def test_a_password_in_the_address_is_not_shown():
    ended = shards("status", "--store", f"redis://:s3cret@127.0.0.1:{free_port()}")
    assert ended.returncode == 1
    assert "s3cret" not in ended.stdout + ended.stderr


def test_help_names_the_variable():
    assert "STORE_URL" in shards("status", "--help").stdout


@pytest.mark.parametrize("number", [1, 2])
def test_a_configuration_runs_as_it_is_from_a_folder_with_its_data_folder(
    tmp_path: Path, number: int
):
    configuration = CONFIGURATION.with_name(f"redis{number}.conf")
    with RedisServer(tmp_path, configuration=configuration) as server:
        assert server.command("SET d:{1} value") == b"+OK\r\n"
        assert b"unknown command" in server.command("DEBUG SLEEP 0")
    assert any((tmp_path / "var" / f"redis{number}").rglob("*.aof"))


def test_a_configuration_without_its_data_folder_does_not_start_and_says_so(tmp_path: Path):
    ended = subprocess.run(
        [find_binary(), str(CONFIGURATION), "--port", str(free_port())],
        cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "dir var/redis1" in ended.stderr + ended.stdout
