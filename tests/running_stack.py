"""The whole stack on free ports, in a copy of the project, started as a user starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PORTS = (
    "BALANCER_PORT", "BALANCER_ADMIN_PORT", "CONSOLE_PORT", "APP1_PORT", "APP2_PORT",
    "UNSTABLE_PORT", "REDIS1_PORT", "REDIS2_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT",
    "REDIS_EXPORTER_PORT",
)  # fmt: skip
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "var", "build", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis"
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RunningStack:
    """Starts, asks, breaks and ends one stack; nothing else on the machine is touched."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.root = folder / "stack"
        shutil.copytree(PROJECT, self.root, ignore=_NOT_COPIED, symlinks=True)
        (self.root / ".venv").symlink_to(Path(sys.prefix))
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environ = {
            **{name: value for name, value in os.environ.items() if name not in PORTS},
            **{name: str(port) for name, port in self.ports.items()},
            **environ,
        }

    def has_its_own_venv(self) -> None:
        """Lets `make` find its set-up done in this folder, without installing it again."""
        venv = self.root / ".venv"
        venv.unlink()
        venv.mkdir()
        for entry in Path(sys.prefix).iterdir():
            if entry.name != ".installed":
                (venv / entry.name).symlink_to(entry)
        fingerprint = "from monitoring.bootstrap import fingerprint as f; print(f())"
        stamp = self.run(".venv/bin/python", "-c", fingerprint).stdout.strip()
        (venv / ".installed").write_text(f"{stamp}\ndev\n")

    def moved(self, text: str) -> str:
        """A text with the default ports replaced by this stack's."""
        topology = (PROJECT / "supervisord.conf").read_text()
        ports = {
            default: str(self.ports[variable])
            for variable, default in re.findall(r"\$\{(\w+_PORT):-(\d+)\}", topology)
        }
        return re.sub(
            r"(127\.0\.0\.1|localhost)?:(\d{4})\b",
            lambda found: f"{found[1] or ''}:{ports.get(found[2], found[2])}",
            text,
        )

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}")
        return done

    def monitoring(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(".venv/bin/python", "-m", "monitoring", *arguments, check=check)

    def ctl(self, *arguments: str, check: bool = True) -> str:
        """`supervisorctl …`, bare, from the project's folder."""
        return self.run(".venv/bin/supervisorctl", *arguments, check=check).stdout

    def pid(self, program: str) -> int:
        return int(self.ctl("pid", program))

    def get(
        self, path: str = "/", port: str = "BALANCER_PORT", method: str = "GET", **headers: str
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=15)
        try:
            connection.request(
                method,
                path,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def gets(self, paths: list[str], *, clients: int = 8) -> list[Answer | OSError]:
        """Many requests, a few at a time; a failed one is returned, never hidden."""

        def one(path: str) -> Answer | OSError:
            try:
                return self.get(path)
            except (OSError, http.client.HTTPException) as error:
                return OSError(repr(error))

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(one, paths))

    def metric(self, text: bytes, name: str, labels: str = "") -> float:
        """The value of one series of an exposition."""
        for line in text.decode().splitlines():
            if line.startswith(f"{name}{labels} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"{name}{labels} is not exposed")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def eventually(condition: Callable[[], object], what: str, seconds: float = 15.0) -> float:
    """Wait for a condition; returns the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(OSError, http.client.HTTPException):
            if condition():
                return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
