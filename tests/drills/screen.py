"""What a person sees while drills run, and at the end. Edge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from .results import DrillResult, Results, Verdict
from .rows import HEADINGS, cells, disturbed

SIGNS: dict[Verdict, tuple[str, str]] = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "invalid": ("?", "yellow"),
    "not run": ("–", "yellow"),
    "error": ("!", "red"),
    "interrupted": ("–", "yellow"),
}


class _TimeLeft(ProgressColumn):
    """Until `deadline`, on the monotonic clock; drawn anew several times a second."""

    deadline = 0.0

    def render(self, task: Task) -> Text:
        left = max(0.0, self.deadline - time.monotonic())
        shown = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        return Text(f"about {shown} left", style="dim")


class Screen:
    """A live line on a terminal (drill, phase, time left), and a line for each drill that ended.

    `expected`: seconds each drill takes, about.
    """

    def __init__(self, console: Console, expected: Sequence[float]) -> None:
        self._console = console
        self._expected = expected
        self._begun = 0
        self._name = ""
        self._left = _TimeLeft()
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(24),
            TextColumn("[bold]{task.description}[/]"),
            self._left,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=sum(expected))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, name: str) -> None:
        """The next drill begins."""
        self._name = name
        self._left.deadline = time.monotonic() + sum(self._expected[self._begun :])
        self._progress.update(self._task, completed=sum(self._expected[: self._begun]))
        self._begun += 1

    def phase(self, name: str, seconds: float) -> None:
        place = f"{self._begun}/{len(self._expected)} {self._name}: {name}"
        self._progress.update(self._task, description=place)

    def ended(self, result: DrillResult) -> None:
        sign, colour = SIGNS[result.verdict]
        self._console.print(
            f"[{colour}]{sign}[/] {result.name:<16} {escape(_ending(result))}", soft_wrap=True
        )


def print_results(results: Results, console: Console) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for result in results.drills:
        sign, colour = SIGNS[result.verdict]
        name, verdict, *figures = cells(result)
        table.add_row(name, f"[{colour}]{sign} {verdict}[/]", *figures)
    if not console.is_terminal:
        console.width = max(console.width, 180)  # a pipe has no width; nothing must be cut off
    console.print(table)
    console.print("[dim]before, during, after: p50 / p99 in ms[/]")
    for result in results.drills:
        if not result.good:
            console.print(f"\n[bold]{result.name}[/]: {escape(result.says)}")
            for finding in result.broken:
                line = f"{finding.sentence}: {finding.detail}"
                console.print(f"  [red]✗[/] {escape(line)}", soft_wrap=True)
            if not result.broken:
                console.print(f"  {escape(result.reason)}", soft_wrap=True)
            if told := disturbed(result):
                console.print(f"  [yellow]{told}[/]", soft_wrap=True)


def _ending(result: DrillResult) -> str:
    if result.verdict == "passed":
        recovery = "at once" if not result.recovery else f"after {result.recovery:.1f} s"
        return (
            f"{result.requests:,} requests, {result.failed + result.refused:,} not answered, "
            f"{result.lost} of {result.acknowledged:,} records lost, as good as before {recovery}"
        )
    return f"{result.verdict}: {result.reason}"
