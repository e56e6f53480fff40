"""Where a run took place: facts that explain its figures. Edge."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[2]


def facts() -> dict[str, Any]:
    """Machine, versions and revision, as they are now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "redis": _first_line(os.environ.get("REDIS_SERVER") or "redis-server", "--version"),
        "generator_priority": "raised" if os.geteuid() == 0 else "that of everybody",
        "revision": revision(),
    }


def revision() -> str:
    """The commit, with `+` when files differ from it; "unknown" without git."""
    commit = _first_line("git", "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    changed = _first_line("git", "status", "--porcelain", "--untracked-files=no")
    return commit + ("+" if changed else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _first_line(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        return ""
    done = subprocess.run(
        [path, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=10, check=False
    )
    return done.stdout.partition("\n")[0].strip()
