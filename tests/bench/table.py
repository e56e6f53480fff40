"""Results as tables in a terminal. Edge."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from . import provenance
from .figures import shown
from .results import Metric, Result, Row


def print_result(out: Console, result: Result) -> None:
    """The table, then what it does not hold and under which conditions it was made."""
    table = Table(title=result.title, title_justify="left", title_style="bold", expand=False)
    table.add_column("case")
    table.add_column("")
    for metric in result.metrics:
        table.add_column(metric.label, justify="right")
    last = None
    for row in result.rows:
        if last not in (None, row.case):
            table.add_section()
        table.add_row(
            "" if last == row.case else row.case,
            Text(row.contender, style="bold" if row.contender == "ours" else ""),
            *_cells(result, row),
        )
        last = row.case
    out.print()
    out.print(table)
    for name, why in result.absent.items():
        out.print(f"  [yellow]not measured[/]  {escape(name)}: {escape(why)}")
    for name, why in result.failed.items():
        out.print(f"  [red]failed[/]  {escape(name)}: {escape(why)}")
    for row in result.rows:
        if reason := row.why_invalid:
            out.print(f"  [red]invalid[/]  {escape(f'{row.contender}, {row.case}: {reason}')}")
    if warning := provenance.warning(result):
        out.print(f"  [yellow]{warning}[/]")
    for note in result.notes:
        out.print(f"  [dim]{escape(note)}[/]")


def _cells(result: Result, row: Row) -> list[Text]:
    if row.invalid:
        return [Text("invalid", style="red"), *[Text("")] * (len(result.metrics) - 1)]
    return [_cell(result, row, metric) for metric in result.metrics]


def _cell(result: Result, row: Row, metric: Metric) -> Text:
    values = row.spread(metric.key)
    if values is None:
        return Text("")
    text = Text(shown(values.median, metric.unit))
    if (compared := result.ratio(row, metric)) is not None:
        text.append(f"  {shown(compared.median, 'times')}", style="cyan")
    if values.count > 1:
        low, high = shown(values.low, metric.unit), shown(values.high, metric.unit)
        text.append(f"\n{low} – {high}", style="dim")
    return text
