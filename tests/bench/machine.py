"""The machine a measurement was made on, and how much of it others used meanwhile. Edge."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import resource
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from monitoring.stack.python_build import is_optimised

from .cores import Cpus
from .programs import PROJECT

_CPUS = Path("/sys/devices/system/cpu")


def facts() -> dict[str, str | int]:
    """What a reader must know to judge the figures."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version() + ("" if is_optimised() else " (not optimised)"),
    }


def packages(names: Iterable[str]) -> dict[str, str]:
    """Versions of Python packages that take part."""
    return {name: importlib.metadata.version(name) for name in names}


def commit() -> str:
    """What was measured: the commit, with `+` when files differ from it; "" without git."""
    with suppress(OSError, subprocess.SubprocessError):
        head = _git("rev-parse", "--short=10", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    return ""


def siblings() -> list[Cpus]:
    """CPUs that share a physical core, from the kernel; empty where it does not tell."""
    groups = set()
    for path in _CPUS.glob("cpu[0-9]*/topology/thread_siblings_list"):
        groups.add(_cpu_list(path.read_text()))
    return [group for group in groups if len(group) > 1]


class OtherLoad:
    """Share of all CPU time that went to programs which are not ours, or to other guests."""

    def __init__(self) -> None:
        self._busy, self._total = _system_seconds()
        self._ours = _our_seconds()

    def share(self) -> float:
        """Since it was made: 0 alone on the machine, 1 nothing left for us."""
        busy, total = _system_seconds()
        others = (busy - self._busy) - (_our_seconds() - self._ours)
        return min(1.0, max(0.0, others / max(total - self._total, 1e-9)))


def _system_seconds() -> tuple[float, float]:
    times = psutil.cpu_times()._asdict()
    # guest time is part of user time already (proc(5))
    total = sum(value for name, value in times.items() if not name.startswith("guest"))
    idle = times["idle"] + times.get("iowait", 0.0)
    return total - idle, total


def _our_seconds() -> float:
    """Of this process and of every descendant, ended ones too."""
    ours = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        ours += usage.ru_utime + usage.ru_stime
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            ours += sum(process.cpu_times()[:4])
    return ours


def _cpu_model() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def _cpu_list(text: str) -> Cpus:
    """The kernel's notation: 0,4 or 0-1."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), *arguments],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()
