"""A real `python -m unstable` on a free port, and what a client sees of it."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

PROJECT = Path(__file__).parents[2]
CALM = ("--failure-rate", "0", "--delay-rate", "0")
GET_DATA = b"GET /data HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Unstable:
    """The process; leaving the `with` block ends it."""

    def __init__(self, *options: str, port: int = 0, **environment: str) -> None:
        command = [sys.executable, "-m", "unstable", "--listen", f"127.0.0.1:{port}", *options]
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.announced = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.announced)
        if found is None:
            _, errors = self.process.communicate()
            raise AssertionError(f"did not start: {self.announced}{errors}")
        self.port = int(found[1])

    def __enter__(self) -> Unstable:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def terminate(self) -> tuple[int, str, float]:
        """SIGTERM; exit code, stderr and seconds until the end."""
        started = time.monotonic()
        self.process.terminate()
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors, time.monotonic() - started

    def ask(
        self, path: str = "/data", method: str = "GET", body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body of one request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body)
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, names, answer.read()
        finally:
            connection.close()

    def set(self, **changes: float) -> dict[str, float]:
        """`PUT /faults` that must succeed; the settings in force."""
        status, _, body = self.ask("/faults", "PUT", changes)
        assert status == 200, body
        return dict(json.loads(body))

    def faults(self) -> dict[str, float]:
        return dict(json.loads(self.ask("/faults")[2]))

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name which have these labels."""
        text = self.ask("/metrics")[2].decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def send(self, request: bytes = GET_DATA) -> socket.socket:
        """A connection on which the request was sent and nothing was read yet."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(request)
        return connection


def read_to_end(connection: socket.socket) -> list[bytes]:
    """All pieces until the peer closes, as they arrive."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return pieces


def is_silent(connection: socket.socket, seconds: float) -> bool:
    """Whether nothing arrives in that time and the connection stays open."""
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        connection.recv(1)
        return False
    return True


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether the condition holds before the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
