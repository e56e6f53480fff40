"""Start supervisord and wait until every program is ready, or say which one is not and why."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from .interrupts import interrupts_deferred
from .observe import observe, tail
from .project import Project, StackError
from .readiness import Prober
from .state import ProgramState, StackState
from .waiting import Limits, Waiting

POLL_SECONDS = 0.1
_LOG_LINES = 15


def start_supervisord(project: Project) -> None:
    """Raises StackError with what supervisord said."""
    command = (Path(sys.executable).parent / "supervisord", "-c", str(project.configuration))
    # the programs are no part of this make run
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    with interrupts_deferred():  # half a second; it runs or it does not
        done = subprocess.run(
            command,
            cwd=project.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            start_new_session=True,  # Ctrl-C is for this process
        )
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        reason = next((line for line in said if line.startswith("Error")), (said or ["?"])[-1])
        raise StackError(f"supervisord did not start: {reason}")


def log_sizes(project: Project) -> dict[str, int]:
    """How much each program has logged in bytes; what is said later is news."""
    logs = {program.name: program.log for program in project.topology.programs}
    return {name: log.stat().st_size for name, log in logs.items() if log and log.exists()}


async def wait_until_ready(
    project: Project, out: Console, limits: Limits, logged: Mapping[str, int]
) -> StackState:
    """Wait for all programs that start by themselves, with a line for each as it gets ready.

    `logged` are the log sizes from before the start. Raises StackError, with the culprit's last
    log lines, when a required program keeps dying or is not ready in time.
    """
    waiting = Waiting(limits)
    began = time.monotonic()
    status = out.status("starting")
    if out.is_terminal:
        status.start()
    try:
        async with Prober() as prober:
            while True:
                state = await observe(project, prober)
                elapsed = time.monotonic() - began
                for program in waiting.news(state):
                    _tell(out, program, elapsed)
                culprit = waiting.culprit(state, elapsed)
                if culprit is not None:
                    raise StackError(_blame(project, culprit, logged.get(culprit.name, 0)))
                pending = waiting.pending(state, elapsed)
                if not pending:
                    return state
                status.update(f"waiting for {_names(pending)} · {elapsed:.0f} s")
                await asyncio.sleep(POLL_SECONDS)
    finally:
        status.stop()


def _names(programs: list[ProgramState]) -> str:
    """On one line of a narrow terminal."""
    names = [program.name for program in programs]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _tell(out: Console, program: ProgramState, elapsed: float) -> None:
    name = f"{program.name:<14}"
    if program.condition == "ready":
        out.print(
            f"  [green]✓[/] {name} ready after {elapsed:4.1f} s   [dim]{program.url or ''}[/]"
        )
    elif program.condition == "absent":
        out.print(f"  [yellow]–[/] {name} {program.note}")
    else:
        out.print(f"  [red]✗[/] {name} {program.note}: the rest runs without it")
        if program.last_words:
            out.print(f"    {escape(program.last_words)}", style="dim")


def _blame(project: Project, culprit: ProgramState, place: int) -> str:
    """One line when the program itself had one thing to say, else its last lines below."""
    log = project.topology[culprit.name].log
    lines = list(dict.fromkeys(tail(log, _LOG_LINES, after=place)))  # every try says the same
    if len(lines) == 1 and culprit.condition == "failing":
        return f"{culprit.name} does not start: {lines[0]} (log: {log})"
    quoted = "".join(f"\n    {line}" for line in lines)
    where = f" Its log, {log}, ends with:{quoted}" if lines else ""
    return f"{culprit.name} does not get ready ({culprit.note or culprit.state}).{where}"
