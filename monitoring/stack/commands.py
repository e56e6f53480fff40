"""The commands of `python -m monitoring`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..installation.install import WANTED, ensure_servers, install_release
from ..option_types import Number
from ..terminal import console
from .doctor import examine, print_findings
from .interrupts import Interruptible
from .logs import choose, follow, last_lines, places
from .ownership import make_folders
from .preflight import check
from .project import Project, StackError, open_project, open_running
from .request import show_request
from .start import log_sizes, start_supervisord, wait_until_ready
from .state import StackState
from .status import EXIT_CODES, look, look_closer, print_figures, print_status
from .stop import stop
from .supervision import NotRunningError
from .waiting import Limits, Waiting

PACKAGED = {"servers": WANTED, "redis_exporter": ("redis_exporter",)}
ARCHIVES = ("prometheus", "grafana")


@click.group(cls=Interruptible, context_settings={"max_content_width": 100})
def monitoring() -> None:
    """Start, stop and look at the stack of the current folder's supervisord.conf."""


@monitoring.command()
@click.option(
    "--timeout", envvar="STACK_TIMEOUT", show_envvar=True, default=60.0, show_default=True,
    type=Number(1, 3600), help="Seconds until every program must be ready.",
)  # fmt: skip
@click.option(
    "--optional-timeout", envvar="STACK_OPTIONAL_TIMEOUT", show_envvar=True, default=120.0,
    show_default=True, type=Number(1, 3600), help="Seconds to wait for prometheus and grafana.",
)  # fmt: skip
@click.option("--servers/--no-servers", default=True, help="Install missing servers first.")
def up(timeout: float, optional_timeout: float, servers: bool) -> None:
    """Start everything and wait until it is ready. Does nothing when it runs already.

    Exit code 0: every required program is ready, whatever became of the optional ones, which are
    named; 1: it could not be started; 3: it runs already and a required program is not well.
    """
    out = console()
    limits = Limits(required=timeout, optional=max(timeout, optional_timeout))
    project, pid = open_running(Path.cwd(), os.environ)
    if pid:
        state = _await_those_that_start(project, out, limits)
        out.print(f"It already runs (supervisord has pid {pid}).")
        _finish(state, project)
        return
    make_folders(project)
    for note in check(project):
        out.print(f"note: {note}. Everything else runs without it.", markup=False)
    if servers:
        ensure_servers(project.tools, out)
    logged = log_sizes(project)
    start_supervisord(project)
    try:
        state = asyncio.run(wait_until_ready(project, out, limits, logged))
    except StackError:
        stop(project, out)
        raise
    _finish(state, project, notes=False)


@monitoring.command()
def down() -> None:
    """Stop everything; names whatever does not end."""
    project, _pid = open_running(Path.cwd(), os.environ)
    stop(project, console())


@monitoring.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def status(as_json: bool) -> None:
    """What runs: programs, workers, shards, breaker, and rates over a second.

    Exit code 0: every required program is well, 3: one is not.
    Optional programs (prometheus, grafana, nginx) that fail are named and change no exit code.
    """
    project, pid = open_running(Path.cwd(), os.environ)
    state = look(project)
    figures = look_closer(project, state)
    if as_json:
        told = state.as_json() | {"figures": None if figures is None else asdict(figures)}
        click.echo(json.dumps(told, indent=2))
    elif pid == 0 and state.level == "down":
        click.echo("Nothing runs here. To start it: make up")
    else:
        print_status(state, console())
        if figures is not None:
            print_figures(figures, console())
    sys.exit(EXIT_CODES[state.level])


@monitoring.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def doctor(as_json: bool) -> None:
    """What may be in the way: Python, servers, ports, limits, disk, leftovers. Changes nothing.

    Exit code 0: nothing is in the way, though there may be notes; 1: something is.
    """
    project, pid = open_running(Path.cwd(), os.environ)
    findings = list(examine(project, pid))
    well = all(finding.gravity != "problem" for finding in findings)
    if as_json:
        told = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(told, indent=2))
    else:
        print_findings(findings, console())
    sys.exit(0 if well else 1)


@monitoring.command()
@click.argument("names", nargs=-1)
@click.option("--lines", "-n", default=20, show_default=True, type=Number(1, 100_000, whole=True))
@click.option("--follow", "-f", "following", is_flag=True, help="Go on with new lines.")
@click.option(
    "--request",
    "-r",
    metavar="ID",
    help="One request's way through all programs, by its X-Request-Id or its trace id.",
)
@click.option("--json", "as_json", is_flag=True, help="For scripts; with --request.")
def logs(
    names: tuple[str, ...], lines: int, following: bool, request: str | None, as_json: bool
) -> None:
    """Last lines of the logs of the programs NAMES, of all without any.

    With --request, exit code 1 when no access log tells of it.
    """
    out = console()
    if request is not None:
        if names or following:
            raise click.UsageError("--request looks at all programs, and does not follow")
        project, _pid = open_running(Path.cwd(), os.environ)
        sys.exit(show_request(project, request, out, as_json=as_json))
    if as_json:
        raise click.UsageError("--json needs --request")
    files = choose(open_project(Path.cwd(), os.environ), names)

    def show(name: str, line: str) -> None:
        out.print(f"[cyan]{name:<14}[/] {escape(line)}")

    ends = places(files)
    for name, line in last_lines(files, ends, lines):
        show(name, line)
    if following:
        with contextlib.suppress(KeyboardInterrupt):  # the one way to end it
            follow(files, ends, show)


@monitoring.command()
@click.argument("names", nargs=-1, type=click.Choice([*PACKAGED, *ARCHIVES]))
def install(names: tuple[str, ...]) -> None:
    """Get the servers that are missing, or by name: redis_exporter from the package manager,
    the others as official archives."""
    out = console()
    project = open_project(Path.cwd(), os.environ)
    make_folders(project)
    packaged = [name for name in names or ("servers",) if name in PACKAGED]
    ensure_servers(project.tools, out, [server for name in packaged for server in PACKAGED[name]])
    for name in (name for name in names if name in ARCHIVES):
        folder = install_release(name, project.tools, out)
        out.print(f"{name} is in {folder}", markup=False)
        try:
            project.supervisor.start(name)
            out.print(f"{name} starts: {project.topology[name].url}", markup=False)
        except NotRunningError:
            out.print("It starts with everything else: make up")


def _await_those_that_start(project: Project, out: Console, limits: Limits) -> StackState:
    """Somebody else's `make up`, or a bare supervisord, may have begun a moment ago.

    What does not get ready is told, and left to whoever started it.
    """
    state = look(project)
    if Waiting(limits).pending(state, 0.0):
        try:
            return asyncio.run(wait_until_ready(project, out, limits, log_sizes(project)))
        except StackError as error:
            click.echo(str(error), err=True)
            return look(project)
    return state


def _finish(state: StackState, project: Project, *, notes: bool = True) -> None:
    """Table, verdict and what to try next; exit code 3 when a program that matters is not well."""
    out = console()
    print_status(state, out, notes=notes)
    if EXIT_CODES[state.level]:
        out.print("To see why: [bold]make logs[/]; to begin anew: [bold]make down up[/]")
        sys.exit(EXIT_CODES[state.level])
    urls = {program.name: program.url for program in project.topology.programs}
    if "balancer" in urls:
        out.print(f"Try:  [bold]curl {urls['balancer']}[/]")
        out.print("      [bold].venv/bin/supervisorctl stop unstable[/]   and the same curl again")
    if "console" in urls:
        out.print(f"      [bold]{urls['console']}[/]   shows this in a browser; "
                  "[bold]make down[/] ends it")  # fmt: skip
