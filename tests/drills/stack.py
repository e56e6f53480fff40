"""The stack under drill: started, asked and put right as a user would. Edge."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.running_stack import RunningStack

from .interrupts import held_back

PROGRAMS = ("redis1", "redis2", "unstable", "app1", "app2", "balancer")
SHARDS = {"redis1": "REDIS1_PORT", "redis2": "REDIS2_PORT"}
HEALTHY_WITHIN = 30.0
_NOT_YET = (OSError, http.client.HTTPException, redis.RedisError, ValueError, KeyError)


class StackError(Exception):
    """The stack did not start, end or come back; the message says what was seen."""


class DrillStack:
    """One running copy of the product on free ports.

    Commands run in sessions of their own: Ctrl-C is for the drill, which then ends the stack.
    """

    def __init__(self, folder: Path, *, seed: int, **environ: str) -> None:
        self._running = RunningStack(folder, UNSTABLE_SEED=str(seed), **environ)
        self.root = self._running.root
        self.ports = self._running.ports

    def up(self) -> None:
        """Start everything and wait until it is ready. Raises StackError with what was said."""
        with held_back():
            self._command(".venv/bin/python", "-m", "monitoring", "up", "--no-servers")
        self.wait_until_healthy()

    def down(self) -> None:
        """End everything. Raises StackError naming what is left."""
        with held_back():
            self._command(".venv/bin/python", "-m", "monitoring", "down")

    def ctl(self, *arguments: str) -> str:
        """`supervisorctl ...`; raises StackError when it says no."""
        return self._command(".venv/bin/supervisorctl", *arguments)

    def pid(self, program: str) -> int:
        """Of the program; 0 while it does not run."""
        return int(self._command(".venv/bin/supervisorctl", "pid", program, check=False) or 0)

    def supervisor(self) -> int:
        """Pid of supervisord, from which everything in the stack comes."""
        return int(self.ctl("pid"))

    def workers(self, program: str) -> list[int]:
        """Pids of a pool's workers, as `pgrep -P $(supervisorctl pid app1)` says."""
        try:
            return sorted(child.pid for child in psutil.Process(self.pid(program)).children())
        except (psutil.Error, ValueError):
            return []

    def pool(self, program: str) -> dict[str, Any]:
        """What `python -m workers status` says about a program's workers."""
        said = self._command(".venv/bin/python", "-m", "workers", "status", program, "--json")
        pool: dict[str, Any] = json.loads(said)["pools"][0]
        return pool

    def http(self, method: str, port: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of one request to the program whose port variable is `port`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=5)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def is_ready(self, program: str) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.http("GET", f"{program.upper()}_PORT", "/readyz")[0] == 200
        return False

    def redis(self, shard: str, *, database: int = 0) -> redis.Redis:
        """A plain connection to one shard's server; errors of it are redis.RedisError."""
        return redis.Redis(
            port=self.ports[SHARDS[shard]], db=database, socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip

    def put_right(self) -> None:
        """Whatever a drill left behind, so that the next begins with a healthy stack."""
        for line in self._command(".venv/bin/supervisorctl", "status", check=False).splitlines():
            program, state = line.split()[:2]
            if program in PROGRAMS and state not in ("RUNNING", "STARTING"):
                self.ctl("start", program)
        self.wait_until_healthy()
        self.http("DELETE", "UNSTABLE_PORT", "/faults")

    def wait_until_healthy(self) -> None:
        wait_for(self._is_healthy, "every program is ready and the balancer sees both instances")

    def _is_healthy(self) -> bool:
        backends = json.loads(self.http("GET", "BALANCER_ADMIN_PORT", "/backends")[1])["backends"]
        return (
            all(map(self.is_ready, ("app1", "app2", "unstable")))
            and all(backend["healthy"] for backend in backends)
            and all(self.redis(shard).ping() for shard in SHARDS)
        )

    def _command(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self._running.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            check=False, start_new_session=True,
        )  # fmt: skip
        if check and done.returncode:
            raise StackError(f"{' '.join(command)} exited {done.returncode}: {done.stdout.strip()}")
        return done.stdout.strip()


def send_signal(pid: int, number: signal.Signals) -> None:
    """Raises StackError when there is no such process: the drill would break nothing."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise StackError(f"no process has pid {pid}") from None


def wait_for(condition: Callable[[], object], what: str, seconds: float = HEALTHY_WITHIN) -> float:
    """Seconds it took. Raises StackError when it takes longer than `seconds`."""
    began = time.monotonic()
    why = ""
    while time.monotonic() - began < seconds:
        try:
            if condition():
                return time.monotonic() - began
        except _NOT_YET as error:
            why = f" ({error!r})"
        time.sleep(0.05)
    raise StackError(f"not within {seconds:g} s: {what}{why}")
