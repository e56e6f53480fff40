"""The balancer runs on the same pool: its workers come and go, and no client notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench.counting_clients import CountingClients
from tests.running_pool import RunningPool, eventually, free_port, start
from tests.running_stack import free_ports
from workers.attach import RunningPool as Attached

__all__ = ["free_port", "start"]  # fixtures
WORKERS = 2


class Balancer:
    def __init__(self, folder: Path, backend: int, *options: str) -> None:
        self.folder = folder
        self.port, admin = free_ports(2)
        self.log = folder / "balancer.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "balancer", "--listen", f"127.0.0.1:{self.port}",
                    "--admin", f"127.0.0.1:{admin}", "--backend", f"127.0.0.1:{backend}",
                    "--metrics-file", folder / "metrics", "--run-dir", folder / "run",
                    "--workers", str(WORKERS), *options,
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def ready(self) -> list[int]:
        described = Attached(self.folder / "run", "balancer").describe()
        return [w["pid"] for w in described["workers"] if w["state"] == "ready"]

    def end(self) -> None:
        for child in psutil.Process(self.process.pid).children():
            child.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def balancer(start, tmp_path: Path) -> Iterator[Balancer]:
    backend: RunningPool = start("tests.bench.peers.pools:serve")
    balancer = Balancer(tmp_path, backend.port)
    try:
        eventually(lambda: len(balancer.ready()) == WORKERS, "all workers of the balancer")
        yield balancer
    finally:
        if balancer.process.poll() is None:
            balancer.end()


@pytest.mark.parametrize("keep", [True, False], ids=["kept connections", "a connection each"])
def test_a_rolling_restart_of_the_balancer_fails_no_request(balancer: Balancer, keep: bool):
    clients = CountingClients(balancer.port, keep=keep)
    with clients.asking():
        for _ in range(2):
            before = set(balancer.ready())
            os.kill(balancer.process.pid, signal.SIGHUP)
            eventually(
                lambda old=before: (
                    len(balancer.ready()) == WORKERS  # type: ignore[misc]
                    and not old & set(balancer.ready())
                ),
                "all are replaced",
                seconds=30,
            )
    assert clients.lost == []
    assert clients.answered > 100


def test_a_killed_worker_of_the_balancer_is_replaced_and_the_other_serves(balancer: Balancer):
    before = balancer.ready()
    clients = CountingClients(balancer.port, keep=False)
    with clients.asking():
        os.kill(before[0], signal.SIGKILL)
        eventually(
            lambda: len(balancer.ready()) == WORKERS and before[0] not in balancer.ready(),
            "two workers again",
        )
    assert before[1] in balancer.ready()
    assert len(clients.lost) <= 8, clients.lost  # what it had accepted: one of each client
    assert clients.answered > 10


def test_a_stopped_balancer_ends_with_exit_code_0_and_leaves_nobody(balancer: Balancer):
    family = psutil.Process(balancer.process.pid).children()
    balancer.process.send_signal(signal.SIGTERM)
    assert balancer.process.wait(timeout=15) == 0
    assert not any(process.is_running() for process in family)


def test_a_second_balancer_on_the_same_folder_is_refused_in_one_line(
    balancer: Balancer, tmp_path: Path
):
    elsewhere = tmp_path / "second"
    elsewhere.mkdir()
    second = Balancer(elsewhere, 1, "--run-dir", str(tmp_path / "run"))
    try:
        assert second.process.wait(timeout=15) == 1
    finally:
        second.process.kill()
        second.process.wait()
    [line] = second.log.read_text().splitlines()
    assert f"balancer: already runs (pid {balancer.process.pid}" in line
