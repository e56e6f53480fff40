"""`make doctor`: looks at everything the stack needs, changes nothing, and says how to mend it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import bootstrap
from ..installation.servers import SERVERS, Server, find
from ..topology import SettingError
from . import machine_limits, python_build
from .finding import Finding, Gravity
from .ownership import not_usable
from .preflight import bind_problem, path_problem, ports_in_use
from .processes import orphans, title, with_children
from .project import Project

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*")
_VERSION_OPTIONS = {"nginx": "-v"}
_PATIENCE_SECONDS = 10.0
_MARKS: dict[Gravity, str] = {
    "ok": "[green]ok[/]",
    "note": "[yellow]note[/]",
    "problem": "[red]problem[/]",
}


def examine(project: Project, supervisor_pid: int) -> Iterator[Finding]:
    """Everything, one finding after the other; `supervisor_pid` 0: nothing runs."""
    yield _python()
    yield _packages()
    for server in SERVERS.values():
        yield _server(server, project.tools)
    ours = {process.pid for process in with_children([supervisor_pid] if supervisor_pid else [])}
    yield from _leftovers(project, supervisor_pid)
    yield from _ports(project, ours)
    yield from _folder(project)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield machine_limits.open_files(None if hard == resource.RLIM_INFINITY else hard)
    yield machine_limits.accept_queue(_number(Path("/proc/sys/net/core/somaxconn")))
    yield machine_limits.overcommit(_number(Path("/proc/sys/vm/overcommit_memory")))
    yield machine_limits.disk(shutil.disk_usage(project.root).free, str(project.root))
    yield machine_limits.memory(psutil.virtual_memory().available)


def print_findings(
    findings: list[Finding], out: Console, *, well: str = "Nothing is in the way."
) -> None:
    """The table, then the lines that mend what is wrong, then one sentence."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "looked at", "seen"):
        rows.add_column(heading)
    for finding in findings:
        rows.add_row(_MARKS[finding.gravity], escape(finding.what), escape(finding.seen))
    out.print(rows)
    for finding in findings:
        if finding.fix:
            out.print(f"{_MARKS[finding.gravity]} {escape(finding.what)}: {escape(finding.fix)}")
    count = sum(finding.gravity == "problem" for finding in findings)
    if count:
        problems = "1 problem is" if count == 1 else f"{count} problems are"
        out.print(f"[red]{problems} in the way.[/]")
    else:
        out.print(f"[green]{escape(well)}[/]")


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    seen = f"{version}, {sys.executable}"
    if sys.version_info < bootstrap.NEEDED:
        return Finding("python", "problem", seen, "make up PYTHON=/path/to/python3.11")
    if not python_build.is_optimised():
        slower = f"{seen}, built without optimisation: up to 1.4 x the CPU for the same"
        return Finding("python", "note", slower, python_build.HOW_TO_GET)
    return Finding("python", "ok", seen)


def _packages() -> Finding:
    """What `make` installed is what setup.cfg asks for now."""
    if bootstrap.stamp_says(bootstrap.fingerprint(), ""):
        return Finding("packages", "ok", "as setup.cfg asks for them")
    seen = "not installed by make, or setup.cfg or the folder's place has changed since"
    return Finding("packages", "note", seen, "make setup")


def _server(server: Server, tools: Path) -> Finding:
    gravity: Gravity = "problem" if server.required else "note"
    try:
        path = find(server, os.environ, tools)
    except SettingError as error:
        return Finding(server.name, gravity, str(error), f"unset {server.variable}")
    if path is None:
        return Finding(server.name, gravity, "not installed", server.how_to_get)
    command = (str(path), _VERSION_OPTIONS.get(server.name, "--version"))
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or "it does not end"
        seen = f"{path} does not tell its version: {why}"
        return Finding(server.name, gravity, seen, server.how_to_get)
    version = _VERSION.search(done.stdout)
    if done.returncode or version is None:
        seen = f"{path} does not tell its version (exit code {done.returncode})"
        return Finding(server.name, gravity, seen, server.how_to_get)
    return Finding(server.name, "ok", f"{version[0]}, {path}")


def _leftovers(project: Project, supervisor_pid: int) -> Iterator[Finding]:
    if supervisor_pid:
        yield Finding("former runs", "ok", f"it runs (supervisord has pid {supervisor_pid})")
        return
    left = orphans(project.topology, project.root)
    if left:
        told = ", ".join(title(process) for process in left)
        seen = f"still running without a supervisord: {told}"
        yield Finding("former runs", "problem", seen, "make down")
    else:
        yield Finding("former runs", "ok", "nothing is left of any")


def _ports(project: Project, ours: set[int]) -> Iterator[Finding]:
    """By binding them. What the stack itself holds is as it should be."""
    wrong = {program.name: line for program, line in ports_in_use(project, ours)}
    for program in project.topology.programs:
        if program.name in wrong:
            seen, _semicolon, fix = wrong[program.name].partition("; ")
            gravity: Gravity = "note" if program.optional else "problem"
            yield Finding(f"port of {program.name}", gravity, seen, fix)
        elif program.ports and program.autostart:
            seen = ", ".join(_free_or_its(port.number) for port in program.ports)
            yield Finding(f"port of {program.name}", "ok", seen)


def _free_or_its(port: int) -> str:
    return f"{port} free" if bind_problem(port) is None else f"{port} in use by the stack itself"


def _folder(project: Project) -> Iterator[Finding]:
    problem = path_problem(project)
    if problem is not None:
        seen, _colon, fix = problem.rpartition(": ")
        yield Finding("folder", "problem", seen, fix)
    stranger = not_usable(project)
    if stranger is None:
        yield Finding("var", "ok", "everything in it can be written")
    else:
        seen, _colon, fix = stranger.partition(". To mend it: ")
        yield Finding("var", "problem", seen, fix or "be the user who started it, or root")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
