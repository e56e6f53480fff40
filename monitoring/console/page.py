"""The status page as HTML. Pure: a state goes in, text comes out.

No script, no inline style, nothing from elsewhere: the page keeps a content security policy of
`default-src 'none'; style-src 'self'`, and reads well without its style sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template

from ..stack.state import Condition, Level, ProgramState, StackState
from ..stack.status import WORDS, duration

REFRESH_SECONDS = 3

# never colour alone: a sign and a word as well
_SIGNS: Mapping[Condition, str] = {
    "ready": "●",
    "starting": "◐",
    "failing": "✕",
    "stopped": "■",
    "off": "○",
    "absent": "○",
    "unknown": "?",
}
_VERDICTS: Mapping[Level, str] = {"ok": "●", "degraded": "◐", "down": "✕"}

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="$refresh">
<title>$sign $title</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
<header>
<h1>Keeps answering</h1>
<p class="verdict $level" role="status"><span aria-hidden="true">$sign</span> $sentence</p>
</header>
<table>
<caption>Programs of this machine's stack</caption>
<thead><tr><th scope="col">Program</th><th scope="col">Condition</th>
<th scope="col">supervisord says</th><th scope="col" class="number">Up</th>
<th scope="col" class="number">pid</th><th scope="col">Address</th></tr></thead>
<tbody>
$rows
</tbody>
</table>
$links
<footer><p>As of $time, anew every $refresh s. The same for scripts:
<a href="/api/state">/api/state</a>, <a href="/metrics">/metrics</a>, <code>make status</code>.
Try <code>supervisorctl stop unstable</code>.</p></footer>
</main>
</body>
</html>
""")

_ROW = Template("""\
<tr class="$condition"><th scope="row">$name</th>
<td><span class="sign" aria-hidden="true">$sign</span> $word$note</td>
<td>$state</td>
<td class="number">$uptime</td>
<td class="number">$pid</td>
<td>$address</td></tr>""")


def render_page(state: StackState, time: str) -> str:
    """The whole page; `time` is the moment it shows, for people."""
    return _PAGE.substitute(
        refresh=REFRESH_SECONDS,
        title=escape(state.sentence),
        level=state.level,
        sign=_VERDICTS[state.level],
        sentence=escape(state.sentence),
        rows="\n".join(_row(program) for program in state.programs),
        links=_links(state),
        time=escape(time),
    )


def _row(program: ProgramState) -> str:
    return _ROW.substitute(
        name=escape(program.name),
        condition=program.condition,
        sign=_SIGNS[program.condition],
        word=WORDS.get(program.condition, program.condition),
        note=f'<span class="note">{escape(program.note)}</span>' if program.note else "",
        state=escape(program.state.lower()) or "–",
        uptime=duration(program.uptime_seconds) if program.pid else "–",
        pid=program.pid or "–",
        address=_address(program),
    )


def _address(program: ProgramState) -> str:
    """A link only where something answers."""
    if program.url is None:
        return "–"
    shown = escape(program.url)
    if program.condition not in ("ready", "starting") or not program.url.startswith("http"):
        return f"<code>{shown}</code>"
    return f'<a href="{escape(program.url, quote=True)}" rel="noreferrer">{shown}</a>'


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
