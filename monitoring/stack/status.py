"""The table of programs, and its exit code."""

from __future__ import annotations

import asyncio

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .asking import ask_figures
from .figures import Figures
from .figures_text import in_words
from .observe import observe
from .project import Project
from .readiness import Prober
from .state import Condition, Level, ProgramState, StackState

EXIT_CODES: dict[Level, int] = {"ok": 0, "degraded": 3, "down": 3}  # supervisorctl's 3 too

WORDS: dict[Condition, str] = {"absent": "not installed"}

_STYLES: dict[Condition, str] = {
    "ready": "green",
    "starting": "yellow",
    "failing": "red",
    "stopped": "red",
    "off": "dim",
    "absent": "dim",
    "unknown": "yellow",
}


def look(project: Project) -> StackState:
    """The state of the stack now."""

    async def once() -> StackState:
        async with Prober() as prober:
            return await observe(project, prober)

    return asyncio.run(once())


def table(state: StackState) -> Table:
    """Program, what supervisord says, what the program itself says, since when, where."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("program", "state", "condition", "up", "pid", "address"):
        rows.add_column(heading, justify="right" if heading in ("up", "pid") else "left")
    for program in state.programs:
        style = _STYLES[program.condition]
        condition = WORDS.get(program.condition, program.condition)
        condition += f": {program.note}" if _worth_telling(program) else ""
        rows.add_row(
            program.name,
            program.state.lower() or "?",
            f"[{style}]{escape(condition)}[/]",
            duration(program.uptime_seconds) if program.pid else "",
            str(program.pid or ""),
            program.url or "",
        )
    return rows


def print_status(state: StackState, out: Console, *, notes: bool = True) -> None:
    """The table, the verdict, and (`notes`) how to get what is not installed and the last words
    of what keeps failing."""
    out.print(table(state))
    style = "green" if state.level == "ok" else "yellow" if state.level == "degraded" else "red"
    out.print(f"[{style}]{escape(state.sentence)}[/]")
    for program in state.programs:
        if notes and program.condition == "absent":
            out.print(escape(program.note), style="dim")
        if notes and program.last_words:
            line = f"{program.name} said last: {program.last_words} (make logs NAME={program.name})"
            out.print(escape(line), style="dim")


def look_closer(project: Project, state: StackState) -> Figures | None:
    """Workers, shards, breaker and rates of what is ready; takes a second."""
    return asyncio.run(ask_figures(project, state))


def print_figures(figures: Figures, out: Console) -> None:
    for heading, text, well in in_words(figures):
        colour = "green" if well else "yellow"
        out.print(f"[{colour}]{heading:<8}[/] {escape(text)}")


def duration(seconds: int) -> str:
    """`5 s`, `3 min`, `2 h 5 min`, `4 d 1 h`: the two largest units at most."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes == 0:
        return f"{seconds} s"
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def _worth_telling(program: ProgramState) -> bool:
    return bool(program.note) and program.condition not in ("absent", "off", "stopped")
