"""A real Prometheus for tests: on a free port, with its data in the test's folder."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitoring.installation import servers

ROOT = Path(__file__).parent.parent
READY_SECONDS = 30.0


def find(program: str) -> str:
    """The path of `prometheus` or `promtool`, looked for where the stack looks.

    Where there is none (an ordinary user cannot install it everywhere) the test says so and how
    to get it, instead of failing.
    """
    server = servers.SERVERS[program]
    found = servers.find(server, os.environ, ROOT / "var" / "tools")
    if found is None:
        pytest.skip(servers.missing(server))
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running_prometheus(config: Path, folder: Path, port: int) -> Iterator[str]:
    """Start Prometheus, wait until it is ready, and end it afterwards. Yields its URL."""
    url = f"http://127.0.0.1:{port}"
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                find("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(server, url, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        assert server.poll() is None, f"Prometheus ended: {log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, f"Prometheus is not ready: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
