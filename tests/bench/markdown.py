"""Results as tables of a README. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from . import provenance
from .figures import shown
from .results import Metric, Result, Row

_OURS = ("ours", "ours, compiled")


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(_cell_text, line))} |" for line in lines)


def table(result: Result) -> str:
    """One case: a column per metric. Several: a column per case, with the headline metric."""
    if len(result.cases) == 1:
        head = ["", *(metric.label for metric in result.metrics)]
        rows = [
            [row.contender, *(_figure(result, row, metric) for metric in result.metrics)]
            for row in result.rows
        ]
    else:
        head = [result.headline.label, *result.cases]
        rows = [
            [name, *(_at(result, case, name) for case in result.cases)]
            for name in result.contenders
        ]
    return f"{grid(head, rows)}\n\n{_below(result)}"


def summary(results: Sequence[Result]) -> str:
    """Ours beside the baseline: every measurement's headline, case by case."""
    rows = []
    for result in results:
        for case in result.cases:
            base = result.find(case, result.baseline)
            what = f"{result.title}: {case}" if len(result.cases) > 1 else result.title
            for form in _OURS:
                ours = result.find(case, form)
                if ours is None or base is None or base is ours:
                    continue
                measured = f"{what}, {result.headline.label}{form.removeprefix('ours')}"
                figures = [_figure(result, row, result.headline) for row in (ours, base)]
                rows.append([measured, *figures, result.baseline])
    machines = provenance.of_all(list(results))
    return f"{grid(['', 'ours', 'beside it', 'which is'], rows)}\n\n{machines}"


def _at(result: Result, case: str, contender: str) -> str:
    row = result.find(case, contender)
    return "" if row is None else _figure(result, row, result.headline)


def _figure(result: Result, row: Row, metric: Metric) -> str:
    if row.invalid:
        return "invalid"
    values = row.spread(metric.key)
    if values is None:
        return ""
    text = shown(values.median, metric.unit)
    compared = result.ratio(row, metric)
    return text if compared is None else f"{text} ({shown(compared.median, 'times')})"


def _below(result: Result) -> str:
    """What one must know to read the table."""
    lines = []
    if any(result.ratio(row, metric) for row in result.rows for metric in result.metrics):
        lines.append(f"In brackets: the ratio to {result.baseline}, in the same run.")
    lines += [f"Not measured: {name} ({why})." for name, why in result.absent.items()]
    lines.append(provenance.of_one(result))
    return " ".join(lines)


def _cell_text(text: str) -> str:
    return text.replace("|", "\\|")
