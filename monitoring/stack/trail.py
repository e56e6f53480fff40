"""One request's way through all processes, put together from their access logs. Pure.

A step is a line of a log, or an attempt of which only the app tells. Lines belong to the same
request when both their request id and their trace are the same; what serves behind NGINX, which
continues no trace, is found by the request id alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

Line = Mapping[str, Any]  # of an access log

_PROXIES = ("balancer", "nginx")
_DOOR, _SERVICE, _ATTEMPT = 0, 1, 2  # how deep a step is


@dataclass(frozen=True)
class Step:
    """What one process did, or one attempt. `at` is Unix time in seconds; `took_ms` None when
    nobody measured it; `status` 0 when there was no answer to see; `told` is the rest in words."""

    at: float
    depth: int
    where: str
    took_ms: float | None
    status: int
    told: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Trail:
    """The steps of one request in the order in which they began."""

    request_id: str
    trace_id: str
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def trails(lines: Iterable[Line]) -> list[Trail]:
    """The requests that these lines tell of, the oldest first."""
    by_request: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        key = (str(line.get("request_id", "")), str(line.get("trace_id", "")))
        by_request.setdefault(key, []).append(line)
    for request_id, trace_id in [key for key in by_request if not key[1]]:
        others = [key for key in by_request if key[0] == request_id and key[1]]
        if len(others) == 1:  # else it cannot be known which of them it was
            by_request[others[0]] += by_request.pop((request_id, trace_id))
    found = [_trail(*key, lines) for key, lines in by_request.items()]
    return sorted(found, key=lambda trail: trail.steps[0].at)


def _trail(request_id: str, trace_id: str, lines: list[Line]) -> Trail:
    answered = {str(line["parent_id"]): line for line in lines if line.get("parent_id")}
    steps, merged = [], set()
    for line in lines:
        for number, one in enumerate(line.get("tries", ()), 1):
            there = answered.get(one.get("span_id", ""))
            steps.append(_attempt(number, one, there))
            merged.add(id(there))
    steps += [_step(line) for line in lines if id(line) not in merged]
    clocked = [step.at for step in steps if not _is_nginx(step)]
    begin = min(clocked, default=min(step.at for step in steps))
    # NGINX logs the second in which a request ended; that it came first is known.
    steps = [replace(step, at=begin) if _is_nginx(step) else step for step in steps]
    steps.sort(key=lambda step: (step.at, step.depth))
    return Trail(request_id, trace_id, tuple(steps))


def _is_nginx(step: Step) -> bool:
    return step.lines[0].get("service") == "nginx"


def _process(line: Line) -> str:
    """`app1 (812)`: the program and the pid of its worker."""
    worker = f" ({line['worker']})" if "worker" in line else ""
    return f"{line.get('service', '?')}{worker}"


def _step(line: Line) -> Step:
    service = str(line.get("service", "?"))
    depth = _DOOR if service in _PROXIES else _ATTEMPT if service == "unstable" else _SERVICE
    asked = f"{line.get('method', '?')} {line.get('path', '?')}"
    return Step(
        at=seconds(str(line.get("time", ""))),
        depth=depth,
        where=_process(line),
        took_ms=_took(line),
        status=int(line.get("status", 0)),
        told="; ".join([asked, *_told(line)]),
        lines=(line,),
    )


def _attempt(number: int, one: Line, there: Line | None) -> Step:
    """An attempt as the app saw it, and what the external service says of the same."""
    told = [f"attempt {number} ({one.get('kind', '?')}): {one.get('outcome', '?')}"]
    if one.get("error"):
        told.append(str(one["error"]))
    if there is None:
        told.append("the external service has no line of it")
    else:
        took = _took(there)
        after = "" if took is None else f" after {took:.1f} ms"
        told.append(f"{there.get('service')} ended it{after} with {there.get('status')}")
        told += _told(there)
    return Step(
        at=seconds(str(one.get("time", ""))),
        depth=_ATTEMPT,
        where="attempt" if there is None else _process(there),
        took_ms=_took(one),
        status=0 if there is None else int(there.get("status", 0)),
        told="; ".join(told),
        lines=(one,) if there is None else (one, there),
    )


# What a line says beyond the usual, and how that is put.
_WORDS = {
    "backend": "by {}",
    "retries": "retries: {}",
    "attempts": "attempts: {}",
    "source": "source {}",
    "result": "{}",
    "reason": "because of {}",
    "fault": "fault {}",
    "decision": "decision {}",
    "id": "record {}",
    "stored": "stored {}",
    "ended": "ended {}",
    "error": "{}",
}


def _told(line: Line) -> list[str]:
    return [
        words.format(line[name])
        for name, words in _WORDS.items()
        if line.get(name) not in (None, "", "none", 0) or (name == "stored" and name in line)
    ]


def _took(line: Line) -> float | None:
    """Milliseconds; what NGINX wrote before it wrote them were seconds, as text."""
    value = line.get("duration_ms")
    try:
        return float(value) * 1000 if isinstance(value, str) else float(value or 0)
    except ValueError:
        return None


def seconds(time: str) -> float:
    """Unix seconds of an RFC 3339 time; 0 for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
