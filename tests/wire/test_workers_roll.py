"""Workers come and go while requests do: rolling restarts, scaling, recycling."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from tests.running_pool import RunningPool, eventually, free_port, start

__all__ = ["free_port", "start"]  # fixtures

SERVED = """
import asyncio
async def serve(worker):
    async def answer(reader, writer):
        await reader.readline()
        worker.request_started()
        writer.write(b"{word}\\n")
        await writer.drain()
        writer.close()
        worker.request_finished()
    {before}
    acceptor = worker.listen(lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), answer))
    worker.ready()
    await worker.told_to_stop()
    acceptor.close()
    await asyncio.sleep(worker.linger_seconds)
"""


def write_code(pool_folder, word: str, before: str = "") -> None:
    (pool_folder / "served.py").write_text(SERVED.format(word=word, before=before))


class Clients:
    """Closed-loop clients, one connection per request; every failure is kept."""

    def __init__(self, pool: RunningPool, count: int = 4) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._pool = pool
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self) -> None:
        while not self._done.is_set():
            try:
                answer = self._pool.ask("go")
            except OSError as error:
                self.failures.append(repr(error))
            else:
                self.answers += 1
                if not answer:
                    self.failures.append("closed without an answer")

    @contextmanager
    def busy(self) -> Iterator[Clients]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join()


@pytest.fixture
def pool(start, tmp_path) -> RunningPool:
    write_code(tmp_path, "old")
    pool: RunningPool = start("served:serve", workers=3, boot_timeout=5.0, linger_seconds=0.2)
    eventually(lambda: pool.ask("go") == "old", "it answers")
    eventually(lambda: all(w["state"] == "ready" for w in pool.status()["workers"]), "all ready")
    return pool


def test_a_rolling_restart_runs_the_new_code_and_fails_no_request(pool):
    before = set(pool.workers())
    write_code(pool.folder, "new")
    with Clients(pool).busy() as clients:
        pool.process.send_signal(signal.SIGHUP)
        eventually(lambda: not before & set(pool.workers()), "every worker was replaced")
        eventually(lambda: len(pool.workers()) == 3, "three workers")
    assert clients.failures == []
    assert clients.answers > 50
    assert pool.ask("go") == "new"
    assert pool.status()["restarts"] == {
        "crash": 0, "hang": 0, "reload": 3, "recycle": 0, "scale": 0,
    }  # fmt: skip


def test_a_pool_never_has_fewer_ready_workers_than_wanted_while_it_rolls(pool):
    pool.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        ready = [w for w in pool.status()["workers"] if w["state"] == "ready"]
        assert len(ready) >= 3


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("raise RuntimeError('broken by an edit')", "exited with code 70"),
        ("await asyncio.sleep(60)", "is not ready in time"),
    ],
)
def test_code_that_does_not_get_ready_aborts_the_roll_and_the_old_workers_stay(pool, before, why):
    old = set(pool.workers())
    write_code(pool.folder, "broken", before)
    pool.process.send_signal(signal.SIGHUP)
    eventually(lambda: "replacing is aborted" in pool.logged(), "the roll is aborted")
    assert why in pool.logged()
    eventually(lambda: set(pool.workers()) == old, "only the old workers")
    assert pool.ask("go") == "old"
    assert pool.process.poll() is None


def test_a_worker_killed_during_a_roll_is_made_up_for(pool):
    before = sorted(pool.workers())
    pool.process.send_signal(signal.SIGHUP)
    os.kill(before[-1], signal.SIGKILL)
    eventually(lambda: not set(before) & set(pool.workers()), "no old worker is left")
    eventually(
        lambda: [w["state"] for w in pool.status()["workers"]] == ["ready"] * 3, "three ready"
    )


def test_the_pool_is_scaled_while_it_runs_and_never_below_one(pool):
    with Clients(pool).busy() as clients:
        pool.process.send_signal(signal.SIGTTIN)
        eventually(lambda: len(pool.workers()) == 4, "one more")
        said = pool.command("scale", "pool", "6")
        assert said.returncode == 0, said.stderr
        eventually(lambda: len(pool.workers()) == 6, "six")
        for _ in range(3):
            pool.process.send_signal(signal.SIGTTOU)
            time.sleep(0.3)
        eventually(lambda: len(pool.workers()) == 3, "three")
        pool.command("scale", "pool", "1")
        eventually(lambda: len(pool.workers()) == 1, "one")
        pool.process.send_signal(signal.SIGTTOU)
        time.sleep(0.5)
    assert clients.failures == []
    assert len(pool.workers()) == 1
    assert pool.status()["wanted"] == 1


@pytest.mark.parametrize("workers", ["0", "33", "x"])
def test_a_number_of_workers_that_cannot_be_is_refused_in_one_line(pool, workers):
    said = pool.command("scale", "pool", workers)
    assert said.returncode == 2
    assert len(said.stderr.splitlines()) == 1
    assert workers in said.stderr


def test_a_pool_that_does_not_run_is_named_in_one_line(pool):
    said = pool.command("status", "nobody")
    assert said.returncode == 1
    assert said.stderr.strip().startswith("workers: nobody: no pool of that name runs")


def test_workers_are_recycled_by_requests_one_at_a_time_without_a_failure(start, tmp_path):
    write_code(tmp_path, "old")
    pool = start(
        "served:serve",
        workers=2,
        linger_seconds=0.2,
        recycling=_Literal("Recycling(requests=100, spacing=0.2)"),
    )
    eventually(lambda: pool.ask("go") == "old", "it answers")
    with Clients(pool).busy() as clients:
        eventually(lambda: pool.status()["restarts"]["recycle"] >= 4, "four were recycled")
    assert clients.failures == []
    assert "is recycled:" in pool.logged()


@pytest.mark.parametrize(
    ("limit", "why"),
    [("Recycling(age=1.0, spacing=0.2)", " s old"), ("Recycling(rss=1, spacing=0.2)", "MiB")],
)
def test_workers_are_recycled_by_age_and_memory_and_never_fewer_than_wanted(
    start, tmp_path, limit, why
):
    write_code(tmp_path, "old")
    pool = start(
        "served:serve", linger_seconds=0.2, heartbeat_interval=0.1, recycling=_Literal(limit)
    )
    eventually(lambda: ready(pool) == 2, "both are ready")
    fewest = 2
    with Clients(pool).busy() as clients:
        deadline = time.monotonic() + 20
        while pool.page()["restarts"]["recycle"] < 4 and time.monotonic() < deadline:
            fewest = min(fewest, ready(pool))
    assert pool.page()["restarts"]["recycle"] >= 4
    assert clients.failures == []
    assert fewest == 2
    assert f"{why}\n" in pool.logged() or f"{why} of memory" in pool.logged()


def ready(pool: RunningPool) -> int:
    return sum(worker["state"] == "ready" for worker in pool.page()["workers"])


class _Literal(str):
    """Python source in the settings of a pool under test."""

    def __repr__(self) -> str:
        return str(self)


def test_the_status_shows_each_workers_load(pool):
    for _ in range(30):
        pool.ask("go")
    time.sleep(1.1)  # a heartbeat brings memory and CPU
    status = pool.status()
    assert (status["name"], status["pid"]) == ("pool", pool.process.pid)
    assert sum(worker["requests"] for worker in status["workers"]) >= 30
    for worker in status["workers"]:
        assert worker["pid"] in pool.workers()
        assert worker["state"] == "ready"
        assert worker["in_flight"] == worker["connections"] == 0
        assert worker["rss"] > 1 << 20
        assert worker["cpu"] > 0
        assert worker["age"] > 0
    table = pool.command("status").stdout
    assert str(status["workers"][0]["pid"]) in table


def test_slots_are_used_again_over_two_hundred_restarts(start):
    pool = start("lines", workers=8, linger_seconds=0.0).wait_ready()
    slots = set()
    for rolls in range(1, 26):
        pool.process.send_signal(signal.SIGHUP)
        eventually(partial(_reloaded, pool, 8 * rolls), "a roll")
        slots |= {worker["slot"] for worker in pool.page()["workers"]}
    assert pool.status()["restarts"]["reload"] == 200
    assert len(slots) <= 16


def _reloaded(pool: RunningPool, workers: int) -> bool:
    return bool(pool.page()["restarts"]["reload"] >= workers)


def test_an_even_share_of_kept_connections_goes_to_each_worker(start):
    pool = start("lines", workers=4).wait_ready()
    eventually(lambda: [w["state"] for w in pool.status()["workers"]] == ["ready"] * 4, "all four")
    import socket

    connections = [socket.create_connection(("127.0.0.1", pool.port)) for _ in range(40)]
    eventually(lambda: sum(counts(pool)) == 40, "all are accepted")
    assert max(counts(pool)) <= 1.25 * 10, counts(pool)
    for connection in connections:
        connection.close()
    eventually(lambda: sum(counts(pool)) == 0, "all are gone")


def counts(pool: RunningPool) -> list[int]:
    return [worker["connections"] for worker in pool.status()["workers"]]


def test_no_connection_waits_for_a_frozen_worker_that_has_the_fewest(start):
    pool = start("lines", workers=2).wait_ready()
    eventually(lambda: [w["state"] for w in pool.status()["workers"]] == ["ready"] * 2, "both")
    frozen = pool.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    began = time.monotonic()
    answers = [pool.ask("pid") for _ in range(50)]
    assert str(frozen) not in answers
    assert time.monotonic() - began < 5


def test_workers_and_parent_end_when_supervisord_is_killed(start, tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys, time\n"
            "child = subprocess.Popen(sys.argv[1:])\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(600)",
            *_parent_command(start, tmp_path),
        ],
        stdout=subprocess.PIPE,
        env={**os.environ, "SUPERVISOR_ENABLED": "1"},
        text=True,
    )
    assert holder.stdout is not None
    parent = psutil.Process(int(holder.stdout.readline()))
    eventually(lambda: len(parent.children()) == 2, "two workers")
    time.sleep(0.5)
    family = [parent, *parent.children()]
    holder.kill()
    holder.wait()
    holder.stdout.close()
    eventually(lambda: not any(_alive(process) for process in family), "nobody is left")


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _parent_command(start, tmp_path) -> list[str]:
    pool = start()
    command = [str(argument) for argument in pool.process.args]
    pool.process.terminate()
    pool.process.wait()
    return command
