"""`python -m app` as it is really run: parent, workers, signals, wrong settings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.exposition_text import Sample, parse, sample
from tests.redis_server import RedisServer, free_port
from tests.scripted_backend import ScriptedBackend, answers

_BODY = b'{"message":"External service OK"}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class Instance:
    """One `python -m app`, in a folder of its own unless it shares one."""

    def __init__(self, folder: Path, *options: str, name: str = "app1", port: int = 0) -> None:
        self.port = port or free_port()
        self.log = folder / f"{name}.log"
        command = [
            sys.executable, "-m", "app", "--name", name, "--listen", f"127.0.0.1:{self.port}",
            "--upstream", "http://127.0.0.1:1/data", "--store", "redis://127.0.0.1:1", *options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def ask(self, path: str = "/") -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            value = json.load(reply)
        assert isinstance(value, dict)
        return value

    def samples(self) -> dict[Sample, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as reply:
            return parse(reply.read())

    def workers(self) -> list[int]:
        return sorted(child.pid for child in psutil.Process(self.process.pid).children())

    def wait_ready(self) -> Instance:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, ValueError):  # or another program still has the port
                self.ask("/readyz")
                return self
            time.sleep(0.02)
        raise AssertionError(f"never ready: {self.log.read_text()}")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=40)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedBackend]:
    backend = await ScriptedBackend(answers(GOOD)).start()
    yield backend
    await backend.stop()


class Load:
    """Clients that ask on, each on its kept connection, and notice every request that failed."""

    def __init__(self, port: int, path: str = "/") -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        self.outcomes: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._stopping = False

    async def client(self) -> None:
        while not self._stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionRefusedError:
                self.outcomes["refused"] += 1
                return
            try:
                while await self._one(reader, writer):
                    pass
            except (OSError, EOFError) as error:
                self.outcomes[type(error).__name__] += 1
                return
            finally:
                writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection lives on."""
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        self.bodies.append(json.loads(await reader.readexactly(length)))
        self.outcomes[head.split(b" ")[1].decode()] += 1
        if b"connection: close" in head:
            self.outcomes["told to close"] += 1
            assert await reader.read() == b""
            return False
        return not self._stopping

    async def run(self, clients: int, seconds: float) -> None:
        tasks = [asyncio.create_task(self.client()) for _ in range(clients)]
        await asyncio.sleep(seconds)
        self._stopping = True
        await asyncio.gather(*tasks)


async def test_stopping_under_load_fails_no_request(
    tmp_path: Path, redis: RedisServer, upstream: ScriptedBackend
) -> None:
    """The clients keep their connections and come back when told to close. After the stop, new
    connections are refused, which a balancer retries elsewhere; whatever was sent is answered."""

    async def slowly(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await asyncio.sleep(0.01)
        writer.write(GOOD)

    upstream.script = slowly
    url = f"http://127.0.0.1:{upstream.port}/data"
    instance = Instance(tmp_path, "--workers", "2", "--upstream", url, "--store", redis.url)
    try:
        instance.wait_ready()
        load = Load(instance.port)
        running = asyncio.create_task(load.run(clients=16, seconds=6.0))
        await asyncio.sleep(1.0)
        assert await asyncio.to_thread(instance.stop) == 0
        await running
    finally:
        instance.end()
    assert load.outcomes.pop("200") > 100
    assert load.outcomes.pop("told to close") >= 16
    assert load.outcomes.pop("refused") == 16
    assert not load.outcomes, instance.log.read_text()
    given = [body["id"] for body in load.bodies]
    assert len(set(given)) == len(given)
    assert None not in given
    assert "Traceback" not in instance.log.read_text()


async def test_a_silent_connection_may_still_ask_for_a_moment_and_is_then_closed(
    tmp_path: Path,
) -> None:
    instance = Instance(tmp_path, "--workers", "1")
    try:
        instance.wait_ready()
        connections = [await asyncio.open_connection("127.0.0.1", instance.port) for _ in range(2)]
        await asyncio.sleep(0.1)  # accepted
        stopped = asyncio.create_task(asyncio.to_thread(instance.stop))
        await asyncio.to_thread(_until_refused, instance.port)
        (reader, writer), (silent, _) = connections
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in reply
        assert await silent.read() == b""
        assert await stopped == 0
    finally:
        instance.end()
        for _, writer in connections:
            writer.close()


def _until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("it still accepts")


async def test_a_request_longer_than_the_drain_is_cut_and_the_instance_ends(
    tmp_path: Path, upstream: ScriptedBackend
) -> None:
    async def never(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await asyncio.sleep(3600)

    upstream.script = never
    patient = ("--upstream-deadline", "60")
    url = f"http://127.0.0.1:{upstream.port}/data"
    instance = Instance(tmp_path, "--workers", "1", "--drain", "1", "--upstream", url, *patient)
    try:
        instance.wait_ready()
        reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not upstream.heads:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(instance.stop) == 0
        assert await reader.read() == b""
        writer.close()
    finally:
        instance.end()
    assert "1 requests did not end in time" in instance.log.read_text()


def test_ids_are_unique_over_instances_workers_and_killed_ones(
    tmp_path: Path, redis: RedisServer
) -> None:
    options = ("--workers", "2", "--store", redis.url, "--upstream-retries", "0")
    instances = [Instance(tmp_path, *options, name=f"app{n}") for n in (1, 2)]
    given: list[int] = []
    pids: set[int] = set()
    try:
        for instance in instances:
            instance.wait_ready()
        for _ in range(3):
            for instance in instances:
                for _ in range(40):
                    answer = instance.ask()
                    given.append(answer["id"])
                    pids.add(answer["instance"])
            for instance in instances:
                os.kill(instance.workers()[0], signal.SIGKILL)
                instance.wait_ready()
    finally:
        for instance in instances:
            instance.end()
    assert len(set(given)) == len(given) == 240
    assert None not in given
    assert len(pids) >= 4


def test_metrics_are_totals_over_all_workers_and_survive_a_killed_one(tmp_path: Path) -> None:
    instance = Instance(tmp_path, "--workers", "2", "--upstream-retries", "0")
    try:
        instance.wait_ready()
        while len(pids := {instance.ask()["instance"] for _ in range(10)}) < 2:
            pass
        before = instance.samples()
        for _ in range(20):
            instance.ask()
        after = instance.samples()
        asked = sample("external_calls_total", result="fallback")
        assert after[asked] - before[asked] == 20
        os.kill(pids.pop(), signal.SIGKILL)
        instance.wait_ready()
        assert instance.samples()[asked] >= after[asked]
        assert instance.samples()[sample("process_start_time_seconds")] == pytest.approx(
            after[sample("process_start_time_seconds")]
        )
    finally:
        instance.end()


def test_the_access_log_is_complete_after_a_stop(tmp_path: Path) -> None:
    options = ("--workers", "2", "--access-log", "log/access.jsonl")
    instance = Instance(tmp_path, *options)
    try:
        instance.wait_ready()
        for number in range(50):
            instance.ask(f"/healthz?n={number}")
        assert instance.stop() == 0
    finally:
        instance.end()
    lines = [json.loads(line) for line in (tmp_path / "log/access.jsonl").read_text().splitlines()]
    asked = {line["path"] for line in lines if "?n=" in line["path"]}
    assert asked == {f"/healthz?n={number}" for number in range(50)}


# What a user may do wrong: one line each


def refused(folder: Path, *options: str, **environment: str) -> str:
    """The one line on stderr; asserts that there is one, and the exit code."""
    done = subprocess.run(
        [
            sys.executable, "-m", "app", "--name", "app1", "--listen", "127.0.0.1:0",
            "--upstream", "http://127.0.0.1:1/data", "--store", "redis://127.0.0.1:1", *options,
        ],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--workers", "0", "a whole number from 1 to 32"),
        ("--workers", "two", "a whole number from 1 to 32"),
        ("--listen", "3000", "HOST:PORT"),
        ("--listen", "127.0.0.1:70000", "0 to 65535"),
        ("--name", "../app", "letters, digits"),
        ("--upstream", "127.0.0.1:4000", "http://"),
        ("--upstream-deadline", "0.001", "a number from 0.02 to 60"),
        ("--upstream-attempt-timeout", "nan", "a number from 0 to 60"),
        ("--upstream-deadline", "abc", "a number from 0.02 to 60"),
        ("--upstream-retries", "-1", "a whole number from 0 to 10"),
        ("--upstream-hedges", "-1", "a whole number from 0 to 10"),
        ("--upstream-breaker-ratio", "1.2", "a number from 0.01 to 1"),
        ("--upstream-budget-ratio", "-1", "a number from 0 to 10"),
        ("--upstream-probe-timeout", "0.01", "a number from 0.02 to 60"),
        ("--upstream-hedge-min", "0.5", "more than --upstream-hedge-max"),
        ("--upstream-breaker", "maybe", "'on', 'off'"),
        ("--limit", "-1", "a whole number from 0 to 100000"),
        ("--store", "http://127.0.0.1:1", "redis://"),
        ("--store-copies", "0", "a whole number from 1 to 64"),
        ("--store-copies", "3", "more than there are shards (1)"),
        ("--store-ttl", "a day", "a number from 0 to 3153600000"),
        ("--store-ttl", "0.0001", "0 (records never expire) or from 0.001"),
        ("--drain", "-1", "a number from 0 to 3600"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_option_value_and_what_is_allowed(
    tmp_path: Path, option: str, value: str, says: str
) -> None:
    name = option[2:].replace("-", "_").upper()
    variable = {"STORE": "STORE_URL"}.get(name, name if "STORE_" in name else f"APP_{name}")
    line = refused(tmp_path, option, value)
    assert "\n" not in line
    assert option in line
    assert variable in line
    assert value in line
    assert says in line


def test_the_same_holds_for_environment_variables(tmp_path: Path) -> None:
    line = refused(tmp_path, APP_WORKERS="0")
    assert "APP_WORKERS" in line
    assert "a whole number from 1 to 32" in line


def test_a_port_in_use_is_told_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path, "--listen", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port} is in use" in line
    assert "APP1_PORT" in line


@pytest.mark.parametrize(
    ("option", "path"),
    [("--ids-file", "file/ids"), ("--metrics-dir", "file/m"), ("--access-log", "file/log")],
)
def test_a_file_that_cannot_be_had_is_one_line_with_what_moves_it(
    tmp_path: Path, option: str, path: str
) -> None:
    (tmp_path / "file").touch()
    line = refused(tmp_path, "--workers", "2", option, path)
    assert "\n" not in line
    assert path in line
    assert option in line
    assert "APP_" + option[2:].replace("-", "_").upper() in line


def test_a_second_instance_of_the_same_name_is_refused(tmp_path: Path) -> None:
    first = Instance(tmp_path, "--workers", "1")
    try:
        first.wait_ready()
        assert "already runs" in refused(tmp_path)
    finally:
        first.end()


def test_the_parent_has_imported_nothing_that_speaks_http() -> None:
    code = "import sys, app.__main__; print([m for m in ('aiohttp', 'yarl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
