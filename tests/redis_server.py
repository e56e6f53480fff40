"""A real Redis (or Valkey) server of its own for a test: start, stop, kill, freeze, thaw.

The binary is taken from REDIS_SERVER, else `redis-server` or `valkey-server` on PATH. The server
runs with the configuration shipped in shards/, on a free port and in a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

CONFIGURATION = Path(__file__).parent.parent / "shards" / "redis1.conf"
_START_SECONDS = 20.0  # generous: two shared cores


def find_binary() -> str:
    """The server's path. Raises FileNotFoundError that says how to get one."""
    wanted = os.environ.get("REDIS_SERVER")
    for name in [wanted] if wanted else ["redis-server", "valkey-server"]:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(
        f"no Redis server: REDIS_SERVER={wanted or ''} and PATH have neither redis-server nor"
        " valkey-server; on Debian: apt-get install redis-server"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class RedisServer:
    """One server on 127.0.0.1. `options` follow the configuration file, as "--name", "value".

    As a context manager it is started, unless it was, and ended however the test left it.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int | None = None,
        configuration: Path = CONFIGURATION,
    ) -> None:
        self.folder = folder
        self.configuration = configuration
        # Where the configuration says, seen from `folder`.
        self.data = folder / "var" / configuration.stem
        self.data.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        """Start it, on the data it left last time; `wait` until it answers PING."""
        log = (self.folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [find_binary(), str(self.configuration), "--port", str(self.port), *self.options],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        if wait:
            self.wait_for("PING", b"+PONG")
        return self

    def stop(self) -> int:
        """SIGTERM, as supervisord stops it; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as a crash."""
        return self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections, for the kernel does that, and never answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def command(self, line: str, timeout: float = 5.0) -> bytes:
        """The first bytes of the reply to one inline command, on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(line.encode() + b"\r\n")
            return connection.recv(65536)

    def wait_for(self, line: str, wanted: bytes) -> None:
        """Until the reply to a command has `wanted` in it; AssertionError with the log if never."""
        deadline = time.monotonic() + _START_SECONDS
        last: object = None
        while time.monotonic() < deadline and self._runs():
            try:
                last = self.command(line)
                if wanted in last:
                    return
            except OSError as error:
                last = error
            time.sleep(0.01)
        log = (self.folder / "redis.log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"redis on port {self.port}: {line} brought {last!r}\n{log}")

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._runs():
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)  # a frozen one sees nothing else
        return self._process.wait(timeout=_START_SECONDS)

    def __enter__(self) -> Self:
        return self if self._runs() else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
