"""The parts of the page that change every second, as HTML. Pure: everything is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from string import Template

from ..stack.state import Condition, Level, ProgramState, StackState
from ..stack.status import WORDS, duration
from .diagram import diagram
from .drawing import NARROW, WIDE, draw
from .events import Event
from .figures import Number, six_numbers
from .findings import Finding
from .snapshot import Snapshot

SHOWN_EVENTS = 8
# never colour alone: a sign and a word as well
SIGNS: Mapping[Condition, str] = {
    "ready": "●",
    "starting": "◐",
    "failing": "✕",
    "stopped": "■",
    "off": "○",
    "absent": "○",
    "unknown": "?",
}
LEVEL_SIGNS: Mapping[Level, str] = {"ok": "●", "degraded": "◐", "down": "✕"}
_LEVEL_WORDS: Mapping[Level, str] = {"ok": "note", "degraded": "warning", "down": "critical"}

_ROW = Template("""\
<tr class="$condition" data-program="$name"><th scope="row">$name</th>
<td><span class="sign" aria-hidden="true">$sign</span> $word$note</td>
<td>$state</td>
<td class="number">$uptime</td>
<td class="number">$pid</td>
<td class="number">$cpu</td>
<td class="number">$memory</td>
<td>$address</td></tr>""")


@dataclass(frozen=True)
class Alert:
    """A finding, and for how many seconds its part has been in trouble."""

    finding: Finding
    seconds: float


def fragments(
    snapshot: Snapshot, verdict: tuple[Level, str], alerts: list[Alert], events: list[Event]
) -> dict[str, str]:
    """HTML by the id of the element that it fills."""
    drawn = diagram(snapshot)
    return {
        "verdict": verdict_html(*verdict),
        "numbers": "".join(_number(number) for number in six_numbers(snapshot)),
        "diagram": draw(drawn, WIDE) + draw(drawn, NARROW),
        "alerts": alerts_html(alerts),
        "programs": program_rows(snapshot.state, snapshot),
        "workers": _worker_rows(snapshot),
        "events": _events(events),
    }


def verdict_html(level: Level, sentence: str) -> str:
    return (
        f'<p class="verdict {level}"><span aria-hidden="true">{LEVEL_SIGNS[level]}</span> '
        f"{escape(sentence)}</p>"
    )


def program_rows(state: StackState, snapshot: Snapshot | None = None) -> str:
    """Rows of the table of programs; CPU and memory where a snapshot knows them."""
    return "\n".join(_program(program, snapshot) for program in state.programs)


def _program(program: ProgramState, snapshot: Snapshot | None) -> str:
    use = snapshot.uses.get(program.name) if snapshot else None
    return _ROW.substitute(
        name=escape(program.name),
        condition=program.condition,
        sign=SIGNS[program.condition],
        word=WORDS.get(program.condition, program.condition),
        note=f'<span class="note">{escape(program.note)}</span>' if program.note else "",
        state=escape(program.state.lower()) or "–",
        uptime=duration(program.uptime_seconds) if program.pid else "–",
        pid=program.pid or "–",
        cpu=f"{use.cpu_percent:.0f} %" if use else "–",
        memory=f"{use.memory_bytes / 1e6:.0f} MB" if use else "–",
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


def _number(number: Number) -> str:
    unit = f" <small>{escape(number.unit)}</small>" if number.unit else ""
    return (
        f"<div><dt>{escape(number.name)}</dt><dd>{escape(number.value)}{unit}"
        f"<span>{escape(number.note)}</span></dd></div>"
    )


def alerts_html(alerts: list[Alert]) -> str:
    if not alerts:
        return '<li class="none">No alert: nothing is wrong that the rules know of.</li>'
    return "".join(
        f'<li class="{alert.finding.level}"><b>'
        f"{LEVEL_SIGNS[alert.finding.level]} {_LEVEL_WORDS[alert.finding.level]}</b> "
        f"{escape(alert.finding.text)} <small>for {duration(int(alert.seconds))}</small></li>"
        for alert in alerts
    )


def _worker_rows(snapshot: Snapshot) -> str:
    rows = []
    for name, pool in snapshot.pools.items():
        for worker in pool["workers"]:
            cells = (
                worker["pid"], worker["in_flight"], worker["requests"], worker["connections"],
                f"{worker['rss'] / 1e6:.0f} MB", duration(int(worker["age"])),
            )  # fmt: skip
            numbers = "".join(f'<td class="number">{escape(str(cell))}</td>' for cell in cells)
            sign = "●" if worker["state"] == "ready" else "◐"
            rows.append(
                f'<tr data-worker="{int(worker["pid"])}"><th scope="row">{escape(name)}</th>'
                f"<td>{sign} {escape(worker['state'])}</td>{numbers}</tr>"
            )
    return "".join(rows)


def _events(events: list[Event]) -> str:
    if not events:
        return '<li class="none">Nothing has happened since the page was opened.</li>'
    shown = list(enumerate(events, 1))[-SHOWN_EVENTS:]
    return "".join(
        f"<li><b>{number}</b> <time>{datetime.fromtimestamp(event.at / 1000):%H:%M:%S}</time> "
        f"{escape(event.what)}</li>"
        for number, event in reversed(shown)
    )
