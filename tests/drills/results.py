"""What a run of drills leaves behind: everything needed to judge it, draw it and repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .evidence import Finding
from .measure import Second, Times

Verdict = Literal["passed", "failed", "invalid", "not run", "error", "interrupted"]
NOTHING = Times(None, None)


@dataclass(frozen=True)
class Mark:
    """A moment of a drill: seconds from the start of its load, and what was done."""

    at: float
    what: str


@dataclass(frozen=True)
class DrillResult:
    """One row. Times in seconds. `refused` are the honest 503s with Retry-After, `failed`
    everything else that is no answer; `unknown` the requests to / whose answer was never seen, so
    that a record may exist that nobody knows of; `others` the share of all CPUs, 0 to 1, that
    other programs used meanwhile."""

    name: str
    about: str
    says: str
    verdict: Verdict
    reason: str = ""
    findings: list[Finding] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    refused: int = 0
    unknown: int = 0
    worst: Second | None = None
    before: Times = NOTHING
    during: Times = NOTHING
    after: Times = NOTHING
    recovery: float | None = None
    acknowledged: int = 0
    lost: int = 0
    copies: dict[int, int] = field(default_factory=dict)
    rate: float = 0.0
    late_p99: float | None = None
    others: float | None = None
    began: float | None = None
    gone: float | None = None
    recovered: float | None = None
    events: list[Mark] = field(default_factory=list)
    seconds: list[Second] = field(default_factory=list)
    repeat: str = ""

    @property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.held]

    @property
    def good(self) -> bool:
        """Nothing speaks against it; what was not run speaks for nothing either."""
        return self.verdict in ("passed", "not run")


@dataclass
class Results:
    """A run. `machine`: facts about it and the programs, `settings` what was asked for."""

    started: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    drills: list[DrillResult] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"format": 1, **asdict(self)}


def exit_code(results: Iterable[DrillResult]) -> int:
    """0: no promise was broken; 1: one was, or a drill proved nothing; 130: interrupted."""
    found = list(results)
    if any(result.verdict == "interrupted" for result in found):
        return 130
    return 0 if all(result.good for result in found) else 1


def write(results: Results, path: Path) -> None:
    path.write_text(json.dumps(results.as_json(), indent=1) + "\n")
