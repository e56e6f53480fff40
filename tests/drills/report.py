"""The page: every drill's row and timeline, in one file that needs nothing else. Pure."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Any

from .charts import plotly_js, timeline
from .page_style import SCRIPT, STYLE
from .results import DrillResult, Results
from .rows import HEADINGS, cells, disturbed

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Drills: $summary</title>
<style>$style</style>
<script>$plotly</script>
</head>
<body>
<header>
<h1>Drills</h1>
<p class="lead">$summary</p>
<p>Each drill starts the whole stack, puts a steady load on the front door, breaks one thing,
watches until it is as good as before, and then reads back every write that was acknowledged.
Times count from when a request was due. In the timelines <span class="shade fault">red</span> is
while the fault lasts, <span class="shade recovery">amber</span> from then until all is as good as
before.</p>
</header>
<div class="scroll"><table class="rows">
<thead><tr>$headings</tr></thead>
<tbody>$rows</tbody>
</table></div>
<p class="note">before, during, after: p50 / p99 in milliseconds. worst second: not answered of
all, or p99. refused: 503 with Retry-After. unknown: requests to / whose answer was never seen.</p>
$sections
<section><h2>This run</h2>
<dl>$facts</dl>
</section>
<script>$script</script>
</body>
</html>
""")

_SECTION = Template("""<section id="$name">
<h2>$name <span class="verdict $css">$verdict</span></h2>
<p>$says</p>
$reason
$chart
$events
<ul class="findings">$findings</ul>
<p class="note">$details<br><code>$repeat</code></p>
</section>
""")


def page(results: Results) -> str:
    """The whole document."""
    return _PAGE.substitute(
        summary=escape(_summary(results)),
        style=STYLE,
        plotly=plotly_js(),
        headings="".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS),
        rows="".join(map(_row, results.drills)),
        sections="".join(map(_section, results.drills)),
        facts="".join(
            f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>"
            for name, value in _facts(results).items()
        ),
        script=SCRIPT,
    )


def _summary(results: Results) -> str:
    verdicts = [result.verdict for result in results.drills]
    counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{len(verdicts)} run: {told}" if verdicts else "none was run"


def _facts(results: Results) -> dict[str, Any]:
    return {"started": results.started, **results.machine, **results.settings}


def _row(result: DrillResult) -> str:
    name, verdict, *figures = map(escape, cells(result))
    cells_html = "".join(f"<td>{figure}</td>" for figure in figures)
    return (
        f'<tr><td><a href="#{name}">{name}</a></td>'
        f'<td><span class="verdict {_css(result)}">{verdict}</span></td>{cells_html}</tr>\n'
    )


def _section(result: DrillResult) -> str:
    return _SECTION.substitute(
        name=escape(result.name),
        css=_css(result),
        verdict=escape(result.verdict),
        says=escape(result.says),
        reason="" if result.findings else f"<p><b>{escape(result.reason)}</b></p>",
        chart=timeline(result) if result.requests else "",
        events=_events(result),
        findings="".join(
            f'<li class="{"kept" if finding.held else "broken"}">{escape(finding.sentence)}'
            f" <small>{escape(finding.detail)}</small></li>"
            for finding in result.findings
        ),
        details=escape(_details(result)),
        repeat=escape(result.repeat),
    )


def _events(result: DrillResult) -> str:
    if not result.events:
        return ""
    items = "".join(f"<li>{mark.at:.1f} s: {escape(mark.what)}</li>" for mark in result.events)
    return (
        f"<details{' open' if len(result.events) <= 6 else ''}>"
        f"<summary>What was done</summary><ol>{items}</ol></details>"
    )


def _details(result: DrillResult) -> str:
    if not result.requests:
        return ""
    copies = ", ".join(f"{records:,} with {count}" for count, records in result.copies.items())
    late = f"{result.late_p99 * 1000:.1f} ms" if result.late_p99 is not None else "-"
    verdict = f" {result.reason}." if result.verdict == "invalid" else ""
    return (
        f"{result.rate:g} requests/s; the generator's p99 of lateness was {late}.{verdict} "
        f"Records by the number of copies found on the shards: {copies or 'none'}. "
        f"{disturbed(result)}"
    )


def _css(result: DrillResult) -> str:
    return result.verdict.replace(" ", "-")
