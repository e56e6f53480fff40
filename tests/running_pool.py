"""A worker pool in processes of its own, under test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from workers.attach import NotRunningError
from workers.attach import RunningPool as Attached

PARENT = """
import sys
from pathlib import Path
from workers import Pool, PoolSettings, Recycling
options = {"host": "127.0.0.1", **eval(sys.argv[3])}
settings = PoolSettings(name="pool", port=int(sys.argv[2]), **options)
target = sys.argv[1] if ":" in sys.argv[1] else "tests.pool_targets:" + sys.argv[1]
sys.exit(Pool(target, settings=settings, fresh=("served", "tests")).run())
"""


class RunningPool:
    def __init__(
        self, folder: Path, target: str, port: int, environ: dict[str, str], **settings: object
    ) -> None:
        self.port = port
        self.folder = folder
        options = {"run_dir": str(folder), "workers": 2, "drain_delay": 0.2, **settings}
        options_text = repr(options).replace(f"'{folder}'", f"Path('{folder}')")
        self.log = folder / "pool.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PARENT, target, str(port), options_text],
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONPATH": f"{folder}:{Path.cwd()}", **environ},
            )

    def workers(self) -> list[int]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return sorted(child.pid for child in psutil.Process(self.process.pid).children())
        return []

    def ask(self, line: str, timeout: float = 10.0) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(f"{line}\n".encode())
            return connection.makefile().readline().strip()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m workers …`"""
        return subprocess.run(
            [sys.executable, "-m", "workers", *arguments, "--run-dir", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.command("status", "--json").stdout)["pools"][0])

    def page(self) -> dict[str, Any]:
        """The same, read by this process: for what is asked very often."""
        return Attached(self.folder, "pool").describe()

    def wait_ready(self) -> RunningPool:
        eventually(lambda: self.ask("ready") == "True", "a worker is ready")
        eventually(lambda: self.log.read_text().count("listening") == 1, "the parent says so")
        return self

    def logged(self) -> str:
        return self.log.read_text()


def eventually(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, NotRunningError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path, free_port: int) -> Iterator[Callable[..., RunningPool]]:
    started: list[RunningPool] = []

    def start_pool(
        target: str = "lines", environ: dict[str, str] | None = None, **settings: object
    ) -> RunningPool:
        pool = RunningPool(tmp_path, target, free_port, environ or {}, **settings)
        started.append(pool)
        return pool

    yield start_pool
    for pool in started:
        family = [pool.process.pid, *pool.workers()]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        pool.process.wait()
