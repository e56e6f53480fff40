"""One look at the running stack: supervisord, readiness of every program, last log lines."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ..topology import Program
from .project import Project
from .readiness import Prober
from .state import Look, Process, StackState, judge
from .supervision import SupervisorError

_TAIL_BYTES = 64 * 1024
ENDED = ("EXITED", "BACKOFF", "FATAL", "UNKNOWN")


async def observe(project: Project, prober: Prober) -> StackState:
    """The state of the stack now; takes at most the time limits of the questions asked."""
    processes, pid = await asyncio.to_thread(_ask_supervisord, project)
    asked = [program for program in project.topology.programs if _worth_asking(program, processes)]
    answers = await asyncio.gather(*(prober.problem(program.ready or "") for program in asked))
    problems = {program.name: answer for program, answer in zip(asked, answers, strict=True)}
    ended = [
        program
        for program in project.topology.programs
        if processes and program.name in processes and processes[program.name].state in ENDED
    ]
    last_lines = {program.name: last_line(program.log) for program in ended}
    return judge(project.topology, Look(processes, problems, last_lines, pid, time.time()))


def tail(log: Path | None, lines: int, *, after: int = 0, before: int | None = None) -> list[str]:
    """The last lines of a log file that are not empty; none when there is no such file.

    `after` and `before` are places in bytes: only what was written between them counts. `after`
    is nothing to a file that has been rotated since.
    """
    if log is None:
        return []
    try:
        with log.open("rb") as file:
            end = log.stat().st_size if before is None else before
            start = max(after if after <= end else 0, end - _TAIL_BYTES)
            file.seek(start)
            text = file.read(end - start).decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def last_line(log: Path | None) -> str:
    return next(iter(tail(log, 1)), "")


def _ask_supervisord(project: Project) -> tuple[dict[str, Process] | None, int]:
    supervisor = project.supervisor
    try:
        return supervisor.processes(), supervisor.pid()
    except SupervisorError:
        return None, 0


def _worth_asking(program: Program, processes: dict[str, Process] | None) -> bool:
    """Not a program that is off: another one may answer at its address."""
    if program.ready is None:
        return False
    if processes is None:
        return program.autostart
    process = processes.get(program.name)
    return process is not None and process.state in ("RUNNING", "STARTING")
