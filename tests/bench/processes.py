"""Programs that are started for a measurement, bound to CPUs, and ended by pid. Edge."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from .cores import Cpus

_START_SECONDS = 30.0
_END_SECONDS = 30.0  # then SIGKILL; the app lets go of its connections in one


class ProgramError(Exception):
    """A program did not start, ended, or did another job than it should; one line."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a tree of processes holds."""

    memory: int  # bytes, proportional set size: shared pages counted once (PSS)
    processes: int
    files: int  # open file descriptors


@dataclass(frozen=True, slots=True)
class Tree:
    """A process and all its descendants."""

    pid: int

    def processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """Used by those that live, and by those that have ended and were waited for."""
        return sum(map(_cpu_seconds, self.processes()))

    def use(self) -> Use:
        processes = files = memory = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                memory += _memory(process)
                files += process.num_fds()
                processes += 1
        return Use(memory, processes, files)


class Program:
    """A running program. Its children end with it.

    Args:
        command: program and arguments, anything that has a text.
        cpus: where it runs; empty for anywhere.
        output: what it prints goes there.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[object],
        *,
        folder: Path,
        output: Path,
        cpus: Cpus = frozenset(),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._output = output
        with output.open("ab") as log, bound_to(cpus):
            # In a session of its own: Ctrl-C reaches the bench, which ends everything in order.
            self._process = subprocess.Popen(
                [*_ends_with_us(), *map(str, command)],
                cwd=folder,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.tree = Tree(self._process.pid)

    def wait_until(self, ready: Callable[[], object], seconds: float = _START_SECONDS) -> float:
        """Seconds it took. Raises ProgramError when it ends before or never gets there."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self._process.poll() is not None:
                raise ProgramError(f"{self.name} ended at once: {self.last_words()}")
            with suppress(OSError, http.client.HTTPException):
                if ready():
                    return time.monotonic() - began
            time.sleep(0.01)
        raise ProgramError(f"{self.name} was not ready in {seconds:.0f} s: {self.last_words()}")

    def ask_to_end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()

    def end(self, seconds: float = _END_SECONDS) -> None:
        """SIGTERM; what still lives after `seconds` is killed, children too."""
        tree = self.tree.processes()
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        for process in tree:
            with suppress(psutil.NoSuchProcess):  # which also says that a pid was given away again
                process.send_signal(signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        lines = self._output.read_text(errors="replace").strip().splitlines()
        return " ".join(lines[-2:])[:300] if lines else f"exit code {self._process.poll()}"


@contextmanager
def bound_to(cpus: Cpus) -> Iterator[None]:
    """What is started inside inherits these CPUs."""
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allowed_cpus() -> set[int]:
    """Where we may run; empty on a system that cannot bind."""
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


def _ends_with_us() -> list[str]:
    """A prefix that has the kernel end a program when the bench is killed (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))
    return 0.0


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (AttributeError, psutil.AccessDenied):  # not Linux, or not our own process
        return int(process.memory_info().rss)
