"""redis_exporter over a real Redis: what the alerts read is there, and means what they say."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.exposition_text import parse, sample
from tests.prometheus_server import ROOT, find, free_port
from tests.redis_server import RedisServer

# Of all it exposes, what the alerts read.
EXPORTED = {
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_aof_last_write_status",
    "redis_aof_last_bgrewrite_status",
}
LIMIT = 8_000_000


class Exporter:
    def __init__(self, folder: Path, shard: str) -> None:
        self.port, self.shard = free_port(), shard
        (folder / "supervisord.conf").symlink_to(ROOT / "supervisord.conf")
        configuration = folder / "monitoring" / "prometheus" / "prometheus.yml"
        configuration.parent.mkdir(parents=True)  # the targets' file is named from there
        configuration.write_text("")
        with (folder / "exporter.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "monitoring.launch", "redis-exporter",
                    str(configuration.relative_to(folder)),
                    "--port", str(self.port), "--shard", f"redis1={shard}",
                ],
                cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log,
            )  # fmt: skip

    def metric(self, name: str) -> float:
        url = f"http://127.0.0.1:{self.port}/scrape?target={self.shard}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return parse(answer.read())[sample(name)]

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError):
                self.metric("redis_up")
                return
            time.sleep(0.02)
        raise AssertionError("the exporter does not answer")


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("shard")
    with RedisServer(folder, "--maxmemory", str(LIMIT)) as server:
        yield server


@pytest.fixture(scope="module")
def exporter(shard: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    find("redis_exporter")
    exporter = Exporter(tmp_path_factory.mktemp("exporter"), shard.url)
    try:
        exporter.wait_ready()
        yield exporter
    finally:
        exporter.process.kill()
        exporter.process.wait()


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_what_the_alerts_read_is_exposed(exporter: Exporter, name: str):
    assert exporter.metric(name) >= 0


def test_the_share_of_its_memory_that_a_shard_uses_is_seen_to_grow(
    exporter: Exporter, shard: RedisServer
):
    assert exporter.metric("redis_memory_max_bytes") == LIMIT
    before = exporter.metric("redis_memory_used_bytes")
    assert before / LIMIT < 0.5
    shard.command(f"SETRANGE big {LIMIT // 2} x")
    assert exporter.metric("redis_memory_used_bytes") - before >= LIMIT // 2


def test_a_file_that_cannot_be_rewritten_is_seen(exporter: Exporter, shard: RedisServer):
    assert exporter.metric("redis_aof_last_write_status") == 1
    assert exporter.metric("redis_aof_last_bgrewrite_status") == 1
    files = shard.data / "appendonlydir"
    files.rename(shard.data / "elsewhere")
    files.write_text("in the way")
    shard.command("BGREWRITEAOF")
    shard.wait_for("INFO persistence", b"aof_rewrite_in_progress:0")
    assert exporter.metric("redis_aof_last_bgrewrite_status") == 0
