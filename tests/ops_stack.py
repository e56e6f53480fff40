"""A small stack of stand-in programs under a real supervisord, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from monitoring.stack.processes import orphans
from monitoring.stack.project import open_project
from monitoring.stack.supervision import Supervisor, SupervisorError

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "tests" / "ops_program.py"
BIN = Path(sys.executable).parent

_HEAD = """
[supervisord]
directory=%(here)s
logfile=%(here)s/var/log/supervisord.log
pidfile=%(here)s/var/run/supervisord.pid
childlogdir=%(here)s/var/log
environment=PATH="{bin}:%(ENV_PATH)s",PYTHONPATH="{root}",PYTHONUNBUFFERED="1"
[unix_http_server]
file=%(here)s/var/run/supervisor.sock
chmod=0700
[supervisorctl]
serverurl=unix://%(here)s/var/run/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def eventually(true: Callable[[], bool], *, within: float = 30.0) -> None:
    """Wait for a condition; fails the test when it does not come true in time."""
    limit = time.monotonic() + within
    while not true():
        assert time.monotonic() < limit, f"not true within {within:g} s"
        time.sleep(0.05)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All output, in which no traceback and no warning of Python's may be."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert "Warning" not in text
    return text


class Stack:
    """Programs are added as sections, then `run("up")` is what `make up` does after set-up.

    The folder is short: the path of a Unix socket has 107 bytes at most.
    """

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environ = {
            key: value
            for key, value in os.environ.items()
            if not key.endswith("_PORT") and not key.startswith(("GF_", "STACK_"))
        }
        self.environ |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "*", **environ}
        self._text = _HEAD.format(bin=BIN, root=ROOT)
        self._ports: dict[str, int] = {}
        self._write()

    def web(self, name: str, *options: str, **keys: str) -> int:
        """A program with a port that the variable NAME_PORT moves; its port."""
        port = free_port()
        address = f"http://127.0.0.1:${{{name.upper()}_PORT:-{port}}}"
        self.section(
            f"program:{name}",
            f"{sys.executable} {PROGRAM} --port ${{{name.upper()}_PORT:-{port}}} "
            + " ".join(options),
            stack_url=f"{address}/",
            stack_ready=f"{address}/readyz",
            **keys,
        )
        return port

    def section(self, section: str, command: str, **keys: str) -> None:
        name = section.partition(":")[2]
        kind = "stdout" if section.startswith("program:") else "stderr"
        defaults = {
            "command": f"/bin/sh -c 'exec {command}'",
            "directory": "%(here)s",
            "autorestart": "true",
            "startsecs": "0",
            "startretries": "20",
            f"{kind}_logfile": f"%(here)s/var/log/{name}.log",
            **({"redirect_stderr": "true"} if kind == "stdout" else {}),
        }
        lines = [f"{key}={value}" for key, value in {**defaults, **keys}.items()]
        self._text += "\n".join([f"[{section}]", *lines, ""])
        self._write()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`python -m monitoring …` in the folder, as from a pipe."""
        return subprocess.run(
            (sys.executable, "-m", "monitoring", *arguments),
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def up(self, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--no-servers", *options, **environ)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A program of the virtual environment (supervisorctl …) in the folder."""
        return subprocess.run(
            (BIN / arguments[0], *arguments[1:]),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.folder / "var/run/supervisor.sock")

    def state(self, name: str) -> str:
        return self.supervisor.processes()[name].state

    def log(self, name: str) -> str:
        file = self.folder / "var" / "log" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def left_running(self) -> list[psutil.Process]:
        project = open_project(self.folder, self.environ)
        return [
            process
            for process in orphans(project.topology, project.root)
            if process.status() != psutil.STATUS_ZOMBIE
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(SupervisorError):
            psutil.Process(self.supervisor.pid()).kill()
        for process in self.left_running():
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        (self.folder / "supervisord.conf").write_text(self._text)
