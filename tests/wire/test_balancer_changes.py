"""Changing a running balancer: the admin port, the commands, reloads, and settings that cannot
be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.balancer_process import (
    PROJECT,
    BalancerProcess,
    Load,
    balancer,
    eventually,
)
from tests.redis_server import free_port
from tests.scripted_backend import OK, ScriptedBackend, answers

FAST = "--health-interval 0.1"


@asynccontextmanager
async def scripted(count: int) -> AsyncIterator[list[ScriptedBackend]]:
    backends = [await ScriptedBackend().start() for _ in range(count)]
    try:
        yield backends
    finally:
        for backend in backends:
            await backend.stop()


async def drained(door: BalancerProcess, backend: ScriptedBackend, *, draining: bool = True) -> int:
    path = f"/backends/{backend.address}"
    return (await door.admin("PUT", path, {"draining": draining}))[0]


async def answer_slowly(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    await asyncio.sleep(0.05)
    await answers(OK)(reader, writer, head)


# Under load


async def test_a_backend_drains_under_load_and_no_request_fails(tmp_path: Path):
    async with scripted(2) as (one, other), balancer(tmp_path, one, other, options=FAST) as door:
        one.script = other.script = answer_slowly
        async with Load(door.port, clients=20) as load:
            done = await door.command("drain", str(one.address))
            assert done.stdout == f"{one.address} is drained: nothing is in flight\n"
            before = len(one.heads)
            seen = await door.backend(one)
            assert (seen["state"], seen["connections"]) == ("draining", 0)
            await asyncio.sleep(0.5)
            assert len(one.heads) == before
            await one.stop()  # what draining is for
            await asyncio.sleep(0.3)
        assert set(load.outcomes) == {"200"}
        assert load.outcomes["200"] > 50


async def test_a_backend_joins_under_load_and_leaves_again(tmp_path: Path):
    async with scripted(2) as (one, joins), balancer(tmp_path, one, options=FAST) as door:
        async with Load(door.port, clients=10) as load:
            fields = {"address": str(joins.address), "weight": 3}
            status, answer = await door.admin("POST", "/backends", fields)
            assert (status, answer["weight"], answer["changed"]) == (201, 3, "added, weight 3")
            await eventually(lambda: len(joins.heads) > 50, "the new one is used")
            assert (await door.admin("DELETE", f"/backends/{joins.address}"))[0] == 202
            await door.said(f"backend {joins.address} is removed")
            assert not await door.backend(joins)
            before = len(joins.heads)
            await asyncio.sleep(0.3)
            assert len(joins.heads) == before
        assert set(load.outcomes) == {"200"}
        up = await door.metric("balancer_backend_up", backend=str(joins.address))
        assert up == 0  # not reported any more


async def test_a_new_backend_gets_nothing_before_it_passed_a_check(tmp_path: Path):
    async with scripted(2) as (one, ill), balancer(tmp_path, one, options=FAST) as door:
        ill.healthy = False
        await door.admin("POST", "/backends", {"address": str(ill.address)})
        await asyncio.sleep(0.5)
        await door.statuses(10)
        assert ill.heads == []
        assert (await door.backend(ill))["state"] == "down"
        ill.healthy = True
        await door.said(f"backend {ill.address} is back")
        await door.statuses(4)
        assert len(ill.heads) == 2


async def test_a_removed_backend_finishes_what_it_has(tmp_path: Path):
    go_on = asyncio.Event()

    async def waits(reader, writer, head):
        await go_on.wait()
        writer.write(OK)

    patient = "--first-byte-timeout 60 --total-timeout 60"
    async with (
        scripted(2) as (slow, other),
        balancer(tmp_path, slow, other, options=patient) as door,
    ):
        slow.script = waits
        asked = asyncio.create_task(door.ask())
        await eventually(lambda: slow.heads, "it is asked")
        removed = await door.command("remove", str(slow.address), "--wait", "0.3")
        assert removed.returncode == 1
        assert "1 in flight after 0.3 s; it goes on draining" in removed.stderr
        seen = await door.backend(slow)
        assert (seen["state"], seen["in_flight"]) == ("removing", 1)
        go_on.set()
        assert (await asked).startswith(b"HTTP/1.1 200")
        await door.said(f"backend {slow.address} is removed")
        assert not await door.backend(slow)


async def test_a_weight_can_be_changed(tmp_path: Path):
    async with scripted(2) as (one, other), balancer(tmp_path, one, other) as door:
        assert (await door.admin("PUT", f"/backends/{one.address}", {"weight": 4}))[0] == 200
        await door.statuses(50)
        assert (len(one.heads), len(other.heads)) == (40, 10)


# What a change survives


async def test_a_change_holds_in_every_worker_and_its_successors(tmp_path: Path):
    async with (
        scripted(2) as (one, other),
        balancer(tmp_path, one, other, options=f"{FAST} --workers 2") as door,
    ):
        assert await drained(door, one) == 200
        await door.statuses(30)
        assert one.heads == []

        os.kill(door.workers()[0], signal.SIGKILL)
        await eventually(lambda: len(door.workers()) == 2, "a successor is there")
        await door.wait_ready()
        await door.statuses(30)
        assert one.heads == []

        door.process.send_signal(signal.SIGHUP)
        await door.said("(reload, 0 to go)")
        await door.statuses(30)
        assert one.heads == []

        assert await drained(door, one, draining=False) == 200
        await door.statuses(30)
        assert len(one.heads) > 10


async def test_a_change_survives_the_end_of_the_balancer_until_it_is_reset(tmp_path: Path):
    async with scripted(2) as (one, other), balancer(tmp_path, one, other) as door:
        await drained(door, one)
        await door.end()
        await door.start().wait_ready()
        assert (await door.backend(one))["state"] == "draining"
        assert f"backend {one.address} is changed by hand: draining" in door.logged()
        assert (await door.command("reset")).returncode == 0
        assert (await door.backend(one))["state"] == "up"
        await door.end()
        await door.start().wait_ready()
        assert (await door.backend(one))["state"] == "up"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 1, "changes": {"x": {}}}', '{"version": 9}']
)
async def test_a_file_of_changes_that_is_broken_changes_nothing_and_is_told(
    tmp_path: Path, content: str
):
    async with scripted(2) as (one, other), balancer(tmp_path, one, other) as door:
        await drained(door, one)
        file = tmp_path / "var/run/balancer-backends.json"
        file.write_text(content)
        await door.said("balancer-backends.json is not used")
        assert (await door.backend(one))["state"] == "draining"
        assert "is not used" in (await door.admin("GET", "/backends"))[1]["problem"]
        status, answer = await door.admin("PUT", f"/backends/{other.address}", {"weight": 2})
        assert status == 500
        assert "python -m balancer reset" in answer["error"]
        assert file.read_text() == content
        assert (await door.command("reset")).returncode == 0
        assert (await door.admin("GET", "/backends"))[1]["problem"] is None
        assert await drained(door, other) == 200


# Who may change what


async def test_the_last_backend_is_neither_drained_nor_removed(tmp_path: Path):
    async with scripted(2) as (one, other), balancer(tmp_path, one, other) as door:
        assert await drained(door, one) == 200
        assert await drained(door, other) == 409
        status, answer = await door.admin("DELETE", f"/backends/{other.address}")
        assert status == 409
        assert "last backend that takes requests" in answer["error"]
        assert await door.statuses(4) == {200: 4}


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "said"),
    [
        ("POST", "/backends", {"address": "nowhere"}, 400, "HOST:PORT"),
        ("POST", "/backends", {"address": 7}, 400, "HOST:PORT"),
        ("POST", "/backends", {}, 400, "HOST:PORT"),
        ("POST", "/backends", {"address": "a:1", "wait": 1}, 400, "address, weight"),
        ("POST", "/backends", [1], 400, "JSON object"),
        ("PUT", "/backends/ONE", {"weight": 0}, 400, "from 1 to 100"),
        ("PUT", "/backends/ONE", {"weight": True}, 400, "from 1 to 100"),
        ("PUT", "/backends/ONE", {"draining": 1}, 400, "true or false"),
        ("PUT", "/backends/ONE", {}, 400, "nothing to change"),
        ("PUT", "/backends/10.0.0.1:1", {"weight": 2}, 404, "there are 127.0.0.1:"),
        ("DELETE", "/backends/10.0.0.1:1", None, 404, "is no backend"),
        ("DELETE", "/backends", None, 405, "is not possible"),
        ("GET", "/nowhere", None, 404, "there is no /nowhere"),
    ],
)
async def test_what_cannot_be_is_refused_in_json(
    door_over_two: BalancerProcess, method: str, path: str, fields: object, status: int, said: str
):
    one = (await door_over_two.admin("GET", "/backends"))[1]["backends"][0]["address"]
    got, answer = await door_over_two.admin(method, path.replace("ONE", one), fields)
    assert (got, said in answer["error"]) == (status, True), answer
    if status == 405:
        assert answer["allowed"] == ["GET", "HEAD", "POST"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "rebound.example:8082"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_pages_of_other_sites_change_nothing(
    door_over_two: BalancerProcess, headers: dict[str, str], status: int
):
    one = (await door_over_two.admin("GET", "/backends"))[1]["backends"][0]
    path = f"/backends/{one['address']}"
    assert (await door_over_two.admin("PUT", path, {"weight": 9}, **headers))[0] == status
    now = (await door_over_two.admin("GET", "/backends"))[1]["backends"][0]
    assert now["weight"] == (9 if status == 200 else one["weight"])


@pytest.fixture
async def door_over_two(tmp_path: Path) -> AsyncIterator[BalancerProcess]:
    async with scripted(2) as (one, other), balancer(tmp_path, one, other) as door:
        yield door


# Commands


async def test_the_commands_do_and_say_it(tmp_path: Path):
    async with scripted(3) as (one, two, three), balancer(tmp_path, one, two, options=FAST) as door:

        async def said(*words: str) -> str:
            done = await door.command(*words)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert await said("drain", str(one.address)) == (
            f"{one.address} is drained: nothing is in flight\n"
        )
        assert await said("undrain", str(one.address)) == f"{one.address} is up\n"
        assert "with weight 2" in await said("add", f"{three.address}@2")
        assert await said("weight", str(three.address), "5") == f"{three.address} has weight 5\n"
        table = await said("backends")
        assert table.count("127.0.0.1:") == 3
        assert "added, weight 5" in table
        listed = json.loads(await said("backends", "--json"))["backends"]
        assert [one["weight"] for one in listed] == [1, 1, 5]
        assert await said("remove", str(three.address)) == f"{three.address} is removed\n"
        again = await door.command("remove", str(three.address))
        assert again.returncode == 1
        assert again.stderr.startswith(f"balancer: {three.address} is no backend; there are ")


def run(*words: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "balancer", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("command", ["backends", "reset"])
def test_a_command_says_where_it_looked_when_nothing_runs(tmp_path: Path, command: str):
    port = free_port()
    done = run(command, folder=tmp_path, BALANCER_ADMIN_PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"no balancer answers at 127.0.0.1:{port}" in done.stderr
    assert "BALANCER_ADMIN_PORT" in done.stderr


async def test_a_command_that_reaches_something_else_says_so(tmp_path: Path):
    async with scripted(1) as (other,):
        port = str(other.port)
        done = await asyncio.to_thread(run, "backends", folder=tmp_path, BALANCER_ADMIN_PORT=port)
        assert done.returncode == 1
        assert "is no balancer" in done.stderr


# Settings


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        ([], {}, "Missing option '--backend' (env var: 'BALANCER_BACKENDS')"),
        (["--backend", "127.0.0.1"], {}, "'127.0.0.1' is not HOST:PORT"),
        (["--backend", "http://127.0.0.1:3000"], {}, "is not HOST:PORT"),
        (["--backend", "127.0.0.1:70000"], {}, "port from 1 to 65535"),
        (["--backend", "127.0.0.1:1@0"], {}, "not from 1 to 100"),
        ([], {"BALANCER_BACKENDS": "127.0.0.1:1,127.0.0.1:1"}, "127.0.0.1:1 stands there twice"),
        (["--backend", "127.0.0.1:8080"], {}, "the balancer's own address"),
        ([], {"BALANCER_MAX_IN_FLIGHT": "-1"}, "env var: 'BALANCER_MAX_IN_FLIGHT'): -1"),
        ([], {"BALANCER_BACKEND_MAX_IN_FLIGHT": "0"}, "'BALANCER_BACKEND_MAX_IN_FLIGHT'): 0"),
        ([], {"BALANCER_MAX_CONNECTIONS": "0"}, "env var: 'BALANCER_MAX_CONNECTIONS'): 0"),
        ([], {"BALANCER_MAX_BODY": "many"}, "env var: 'BALANCER_MAX_BODY'): 'many'"),
        ([], {"BALANCER_RETRY_RATIO": "nan"}, "env var: 'BALANCER_RETRY_RATIO'): 'nan'"),
        ([], {"BALANCER_EJECT_SECONDS": "0"}, "env var: 'BALANCER_EJECT_SECONDS'): 0"),
        ([], {"BALANCER_HEALTH_PATH": "readyz"}, "env var: 'BALANCER_HEALTH_PATH'): 'readyz'"),
        ([], {"BALANCER_HEALTH_INTERVAL": "0"}, "env var: 'BALANCER_HEALTH_INTERVAL'): 0"),
        ([], {"BALANCER_POLICY": "fastest"}, "'round-robin', 'least-requests'"),
        ([], {"BALANCER_ADMIN": "127.0.0.1:8080"}, "it must be another address"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(
    tmp_path: Path, words: list[str], environ: dict[str, str], said: str
):
    if not words and "BALANCER_BACKENDS" not in environ and environ:
        words = ["--backend", "127.0.0.1:1"]
    done = run(*words, folder=tmp_path, **environ)
    assert done.returncode == 2
    assert done.stderr.startswith("balancer: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_port_that_is_taken_is_named_with_the_variable_that_moves_it(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        backend = ["--backend", "127.0.0.1:1"]
        admin = ["--admin", f"127.0.0.1:{free_port()}"]
        done = run("--listen", address, *admin, *backend, folder=tmp_path)
        assert done.returncode == 1
        assert f"{address} is in use" in done.stderr
        assert "BALANCER_PORT" in done.stderr
        listen = ["--listen", f"127.0.0.1:{free_port()}"]
        done = run(*listen, "--admin", address, *backend, folder=tmp_path)
        assert done.returncode != 0
        assert f"admin address {address} is in use" in done.stderr
        assert "BALANCER_ADMIN_PORT" in done.stderr
        assert "Traceback" not in done.stderr


async def test_a_second_balancer_does_not_share_the_admin_port_of_the_first(tmp_path: Path):
    async with scripted(1) as (backend,), balancer(tmp_path, backend) as door:
        words = ["--backend", str(backend.address), "--run-dir", str(tmp_path / "other")]
        words += ["--metrics-file", str(tmp_path / "other/metrics")]
        words += ["--listen", f"127.0.0.1:{free_port()}"]
        words += ["--admin", f"127.0.0.1:{door.admin_port}"]
        done = await asyncio.to_thread(lambda: run(*words, folder=tmp_path))
        assert done.returncode != 0
        assert f"127.0.0.1:{door.admin_port} is in use by" in done.stderr
        assert f"pid {door.workers()[0]}" in done.stderr
        assert await door.statuses(3) == {200: 3}


# Reload


class Supervised:
    """A balancer that takes its settings from a supervisord.conf, as under supervisord."""

    def __init__(self, folder: Path, *backends: ScriptedBackend) -> None:
        self.folder = folder
        self.door = BalancerProcess(folder, SUPERVISOR_PROCESS_NAME="balancer")
        words = [*self.door.options]
        for backend in backends:
            words += ["--backend", str(backend.address)]
        self.door.options = words
        self.write(" ".join(words))

    def write(self, options: str) -> None:
        (self.folder / "supervisord.conf").write_text(
            f"[program:balancer]\ncommand=/bin/sh -c 'exec python -m balancer {options}'\n"
            "stack_url=http://127.0.0.1:1/\nstack_ready=http://127.0.0.1:1/\n"
        )

    @property
    def options(self) -> str:
        return " ".join(self.door.options)


async def test_a_reload_takes_other_backends_from_supervisord_conf_under_load(tmp_path: Path):
    async with scripted(2) as (old, new):
        supervised = Supervised(tmp_path, old)
        door = supervised.door.start()
        try:
            await door.wait_ready()
            async with Load(door.port, clients=8) as load:
                supervised.write(supervised.options.replace(str(old.address), str(new.address)))
                door.process.send_signal(signal.SIGHUP)
                await door.said("(reload, 0 to go)")
                await eventually(lambda: new.heads, "the new one is used")
                await asyncio.sleep(1.5)
                before = len(old.heads)
                await asyncio.sleep(0.3)
                assert len(old.heads) == before
            assert set(load.outcomes) == {"200"}
        finally:
            await door.end()


@pytest.mark.parametrize("mistake", ["--max-body -1", "--backend nonsense", "--no-such-option"])
async def test_a_reload_with_bad_settings_keeps_the_running_ones_and_says_so(
    tmp_path: Path, mistake: str
):
    async with scripted(1) as (backend,):
        supervised = Supervised(tmp_path, backend)
        door = supervised.door.start()
        try:
            await door.wait_ready()
            before = door.workers()
            supervised.write(f"{supervised.options} {mistake}")
            door.process.send_signal(signal.SIGHUP)
            await door.said("replacing is aborted")
            assert mistake.split(maxsplit=1)[0] in door.logged()
            assert door.workers() == before
            assert await door.statuses(5) == {200: 5}

            os.kill(before[0], signal.SIGKILL)  # the mistake is still there
            await door.said("serving with the settings it was started with")
            await door.wait_ready()
            assert await door.statuses(5) == {200: 5}
        finally:
            await door.end()
