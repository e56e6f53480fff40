"""The console's page as HTML. Pure: a state goes in, text comes out.

No inline script, no inline style, nothing from elsewhere: the page keeps a strict content
security policy. Without its script it still tells states, anew every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import groupby
from string import Template

from ..stack.state import StackState
from ..stack.status import WORDS
from .faults import Fault
from .fragments import LEVEL_SIGNS, program_rows, verdict_html

REFRESH_SECONDS = 3  # without the script

_CHARTS = (
    ("kinds", "Answers a second, by kind"),
    ("times", "Time to answer, ms"),
    ("attempts", "Attempts at the external service, per answer"),
    ("shards", "Operations a second, by shard"),
    ("cpu", "CPU by program, % of one core"),
    ("memory", "Memory by program, MB"),
)

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="console-token" content="$token">
<meta name="console-start" content="$start">
<noscript><meta http-equiv="refresh" content="$refresh"></noscript>
<title>$sign $title</title>
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/charts.css" id="plotly.js-style-global">
<script src="/plotly.min.js" defer></script>
<script src="/live.js" defer></script>
</head>
<body>
<main>
<header>
<h1>Keeps answering <span id="connection" role="status">not live</span></h1>
<div id="verdict" role="status">$verdict</div>
</header>
<dl id="numbers" aria-label="Six numbers"></dl>
<section><h2>What asks what</h2><div id="diagram"><p>Needs the page's script.</p></div></section>
<section class="two"><div><h2>Alerts</h2><ul id="alerts"></ul></div>
<div><h2>Events</h2><ol id="events"></ol></div></section>
<section><h2>Break it</h2><p id="answer" role="status"></p>
<div class="faults">$faults</div></section>
<section><h2>Charts</h2><div class="charts">$charts</div></section>
<section><h2>Programs</h2><div class="scroll"><table class="programs">
<caption>Programs of this machine's stack</caption>
<thead><tr><th scope="col">Program</th><th scope="col">Condition</th>
<th scope="col">supervisord says</th><th scope="col" class="number">Up</th>
<th scope="col" class="number">pid</th><th scope="col" class="number">CPU</th>
<th scope="col" class="number">Memory</th><th scope="col">Address</th></tr></thead>
<tbody id="programs">
$rows
</tbody>
</table></div></section>
<section><h2>Workers</h2><div class="scroll"><table class="workers">
<caption>Worker processes</caption>
<thead><tr><th scope="col">Program</th><th scope="col">State</th>
<th scope="col" class="number">pid</th><th scope="col" class="number">In flight</th>
<th scope="col" class="number">Requests</th><th scope="col" class="number">Connections</th>
<th scope="col" class="number">Memory</th><th scope="col" class="number">Age</th></tr></thead>
<tbody id="workers"></tbody>
</table></div></section>
$links
<footer><p>As of <span id="time">$time</span>. The same for scripts:
<a href="/api/state">/api/state</a>, <a href="/metrics">/metrics</a>, <code>make status</code>.
</p></footer>
</main>
</body>
</html>
""")


def render_page(
    state: StackState, time: str, *, faults: Iterable[Fault], token: str, start: str
) -> str:
    """The whole page; `time` is the moment it shows, for people. `start` names this start of
    the console, `token` lets the page's buttons change something."""
    return _PAGE.substitute(
        refresh=REFRESH_SECONDS,
        token=escape(token),
        start=escape(start),
        title=escape(state.sentence),
        sign=LEVEL_SIGNS[state.level],
        verdict=verdict_html(state.level, state.sentence),
        rows=program_rows(state),
        faults="".join(_group(name, list(ours)) for name, ours in _grouped(faults)),
        charts="".join(
            f'<figure><figcaption>{title}</figcaption><div id="chart-{name}"></div></figure>'
            for name, title in _CHARTS
        ),
        links=_links(state),
        time=escape(time),
    )


def _grouped(faults: Iterable[Fault]) -> Iterable[tuple[str, Iterable[Fault]]]:
    whole = sorted(faults, key=lambda fault: fault.program != "")  # stable: the stack's first
    return groupby(whole, key=lambda fault: fault.program)


def _group(program: str, faults: list[Fault]) -> str:
    buttons = "".join(
        f'<li><button type="button" data-fault="{escape(fault.name)}" disabled>'
        f"{escape(fault.label)}</button> <code>{escape(fault.command)}</code></li>"
        for fault in faults
    )
    name = escape(program) or "the stack"
    is_open = "" if program else " open"
    return (
        f"<details{is_open}><summary>{name}</summary>"
        f'<ul aria-label="{name}">{buttons}</ul></details>'
    )


def _links(state: StackState) -> str:
    """Where there is more to see, or why there is not."""
    programs = {program.name: program for program in state.programs}
    parts = []
    for name, what in (("prometheus", "Prometheus"), ("grafana", "Grafana")):
        program = programs.get(name)
        if program is None or program.url is None:
            continue
        if program.condition == "ready":
            link = escape(program.url, quote=True)
            parts.append(f'<li><a href="{link}" rel="noreferrer">{what}</a></li>')
        else:
            word = WORDS.get(program.condition, program.condition)
            parts.append(f"<li>{what} <span>({escape(word)})</span></li>")
    return f'<nav aria-label="More"><ul>{"".join(parts)}</ul></nav>' if parts else ""
