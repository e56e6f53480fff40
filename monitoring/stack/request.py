"""`logs --request`: the fate of one request, as a table or as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .access_logs import access_logs, lines_of
from .project import Project, StackError
from .trail import Trail, trails


def show_request(project: Project, request: str, out: Console, *, as_json: bool) -> int:
    """Print it; exit code 0, or 1 when no line tells of it. Raises StackError."""
    files, silent = access_logs(project)
    found = trails(lines_of(request, files))
    if as_json:
        told = {
            "request": request,
            "requests": [trail.as_json() for trail in found],
            "searched": [str(file) for file in files],
            "without_access_log": silent,
        }
        click.echo(json.dumps(told, indent=2))
        return 0 if found else 1
    if not found:
        raise StackError(_nothing(request, len(files), silent))
    for trail in found:
        _print(trail, out)
    if silent:
        out.print(f"No access log is written by {', '.join(silent)}.", style="dim")
    return 0


def _print(trail: Trail, out: Console) -> None:
    began = trail.steps[0].at
    when = datetime.fromtimestamp(began, UTC).isoformat(sep=" ", timespec="milliseconds")
    trace = f", trace {trail.trace_id}" if trail.trace_id not in ("", trail.request_id) else ""
    out.print(f"Request [bold]{escape(trail.request_id)}[/]{trace}, {when[:23]} UTC")
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows.add_column("after", justify="right", no_wrap=True)
    rows.add_column("where", no_wrap=True)
    rows.add_column("took", justify="right", no_wrap=True)
    rows.add_column("status", justify="right")
    rows.add_column("what")
    for step in trail.steps:
        colour = "red" if step.status >= 500 else "yellow" if step.status >= 400 else "green"
        rows.add_row(
            f"{(step.at - began) * 1000:.0f} ms",
            "  " * step.depth + escape(step.where),
            "" if step.took_ms is None else f"{step.took_ms:.1f} ms",
            f"[{colour}]{step.status}[/]" if step.status else "",
            escape(step.told),
        )
    out.print(rows)


def _nothing(request: str, files: int, silent: list[str]) -> str:
    told = f"no line of the access logs tells of request {request} ({files} files searched)"
    if silent:
        told += f"; {', '.join(silent)} were told to write none"
    return (
        f"{told}. It may be older than the oldest file that is kept, or have been asked "
        "of another copy of this stack"
    )
