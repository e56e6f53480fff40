"""bench.html: one page with everything in it, to be looked at without a network. Edge.

Charts by plotly, whose JavaScript comes with the Python package and is put into the page.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from . import provenance
from .charts import drawn
from .figures import shown
from .results import Chart, Metric, Result, Row

_HERE = Path(__file__).parent
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Benchmarks</title>
<style>
{css}</style>
</head>
<body>
<main>
<h1>Benchmarks</h1>
<p class="quiet">{about}</p>
{sections}
<footer class="quiet">Made by <code>make bench</code>. Medians of the rounds, with the smallest and
the largest beneath; × is the ratio to the baseline, taken round by round.</footer>
</main>
<script>{plotly}</script>
<script>{javascript}</script>
</body>
</html>
"""


def write(path: Path, results: list[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        _FRAME.format(
            css=(_HERE / "page.css").read_text(),
            about=escape(provenance.of_all(results)),
            sections="\n".join([_overview(results), *map(_section, results)]),
            plotly=get_plotlyjs(),
            javascript=(_HERE / "page.js").read_text(),
        )
    )


def _overview(results: list[Result]) -> str:
    """Ours beside the baseline, by the headline metric of everything."""
    lines = []
    for result in results:
        metric, last = result.headline, ""
        for case in result.cases:
            ours, base = result.find(case, "ours"), result.find(case, result.baseline)
            if ours is None or base is None or base is ours:
                continue
            title = f'<a href="#{escape(result.name)}">{escape(result.title)}</a>'
            cells = _cell(result, ours, metric, plain=True) + _cell(
                result, base, metric, plain=True
            )
            first = "" if last else "first"
            lines.append(
                f'<tr class="{first}"><th>{"" if last else title}</th><td>{escape(case)}</td>'
                f"<td>{escape(metric.label)}</td>{cells}<td>{escape(base.contender)}</td></tr>"
            )
            last = case
    return (
        '<section>\n<h2>Ours, and what stands beside it</h2>\n<div class="scroll"><table>\n'
        '<thead><tr><th></th><th></th><th></th><th class="number">ours</th>'
        '<th class="number">beside it</th><th>which is</th></tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody>\n</table></div>\n</section>"
    )


def _section(result: Result) -> str:
    figures = "".join(_figure(result, chart) for chart in result.charts)
    charts = f'<div class="charts">{figures}</div>' if figures else ""
    return (
        f'<section id="{escape(result.name)}">\n<h2>{escape(result.title)}</h2>\n'
        f"<p>{escape(result.about)}</p>\n{charts}\n{_table(result)}\n{_remarks(result)}\n</section>"
    )


def _figure(result: Result, chart: Chart) -> str:
    told = drawn(result, chart)
    if told is None:
        return ""
    data = escape(json.dumps(told, separators=(",", ":")), quote=True)
    return (
        f"<figure><figcaption>{escape(chart.title)}</figcaption>"
        f'<div class="chart" data-chart="{data}"></div></figure>'
    )


def _table(result: Result) -> str:
    head = "".join(f'<th class="number">{escape(one.label)}</th>' for one in result.metrics)
    body, last = [], ""
    for row in result.rows:
        body.append(_line(result, row, first=row.case != last))
        last = row.case
    rows = "\n".join(body)
    return (
        '<div class="scroll"><table>\n'
        f"<thead><tr><th></th><th></th>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _line(result: Result, row: Row, *, first: bool) -> str:
    classes = ("first " if first else "") + ("ours" if row.contender == "ours" else "")
    if row.invalid:
        why = escape(row.why_invalid)
        cells = f'<td class="problem" colspan="{len(result.metrics)}">invalid: {why}</td>'
    else:
        cells = "".join(_cell(result, row, metric) for metric in result.metrics)
    case = escape(row.case) if first else ""
    name = escape(row.contender)
    return f'<tr class="{classes}"><th>{case}</th><td>{name}</td>{cells}</tr>'


def _cell(result: Result, row: Row, metric: Metric, *, plain: bool = False) -> str:
    """`plain`: without the range."""
    values = row.spread(metric.key)
    if values is None:
        return f'<td class="number">{"invalid" if row.invalid else ""}</td>'
    text = escape(shown(values.median, metric.unit))
    if (compared := result.ratio(row, metric)) is not None:
        text += f'<span class="times">{escape(shown(compared.median, "times"))}</span>'
    if values.count > 1 and not plain:
        low, high = shown(values.low, metric.unit), shown(values.high, metric.unit)
        text += f'<span class="range">{escape(low)} – {escape(high)}</span>'
    return f'<td class="number">{text}</td>'


def _remarks(result: Result) -> str:
    items = [
        f'<li class="absent">Not measured: {escape(name)}: {escape(why)}</li>'
        for name, why in result.absent.items()
    ]
    items += [
        f'<li class="problem">Failed: {escape(name)}: {escape(why)}</li>'
        for name, why in result.failed.items()
    ]
    if warning := provenance.warning(result):
        items.append(f'<li class="absent">{escape(warning)}</li>')
    items += [f"<li>{escape(note)}</li>" for note in result.notes]
    items.append(f"<li>{escape(provenance.of_one(result))}</li>")
    return f'<ul class="notes">{"".join(items)}</ul>'
