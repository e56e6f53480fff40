"""Everything the page shows, as it was at one moment; and what is simply read off it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ..stack.state import ProgramState, StackState
from ..topology import Program
from .readings import Change, added, quantile

Role = Literal["app", "balancer", "unstable", "shard", "other"]
_ROLES: Mapping[str, Role] = {"app": "app", "balancer": "balancer", "unstable": "unstable"}
_MODULE = re.compile(r"-m (\w+)(?!\.)\b")
FAILED = ("http_error", "bad_answer", "connect_error", "timeout")
BREAKER = {0: "closed", 1: "open", 2: "half open", 3: "ramping"}


def role(program: Program) -> Role:
    """What a program is to the page."""
    if program.ready and program.ready.startswith("redis://"):
        return "shard"
    module = _MODULE.search(program.command)
    return _ROLES.get(module[1], "other") if module else "other"


@dataclass(frozen=True)
class Use:
    """CPU in percent of one core, memory in bytes, of a program's processes together."""

    cpu_percent: float
    memory_bytes: int
    processes: int


@dataclass(frozen=True)
class Snapshot:
    """One look.

    Args:
        at: Unix time.
        changes: of the programs whose /metrics answered.
        pools: what /workers said, by program.
        restarts: workers replaced in the last seconds, by program and reason.
        uses: of the programs that run.
    """

    at: float
    state: StackState
    roles: Mapping[str, Role]
    changes: Mapping[str, Change] = field(default_factory=dict)
    pools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    restarts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    uses: Mapping[str, Use] = field(default_factory=dict)

    def programs(self, *roles: Role) -> list[ProgramState]:
        """In the order in which they start."""
        return [one for one in self.state.programs if self.roles.get(one.name) in roles]

    def changed(self, *roles: Role) -> list[Change]:
        """Of all programs with such a role that told their metrics."""
        return [
            self.changes[program.name]
            for program in self.programs(*roles)
            if program.name in self.changes
        ]

    def rate(self, role: Role, name: str, **labels: str) -> float:
        return sum(change.rate(name, **labels) for change in self.changed(role))

    def rates(self, role: Role, name: str, by: str, **labels: str) -> dict[str, float]:
        whole: dict[str, float] = {}
        for change in self.changed(role):
            for value, rate in change.rates(name, by, **labels).items():
                whole[value] = whole.get(value, 0.0) + rate
        return whole

    def most(self, role: Role, name: str, **labels: str) -> float:
        """The largest value of a gauge that every program tells of the same thing."""
        return max((change.value(name, **labels) for change in self.changed(role)), default=0.0)

    def quantile(self, role: Role, name: str, q: float, **labels: str) -> float | None:
        """Seconds."""
        return quantile(added([change.buckets(name, **labels) for change in self.changed(role)]), q)

    @property
    def breaker(self) -> str:
        return BREAKER.get(int(self.most("app", "external_breaker_state")), "closed")


def address(program: ProgramState) -> str:
    """HOST:PORT, as the balancer names a backend."""
    return urlsplit(program.url or "").netloc


def front_rate(snapshot: Snapshot) -> float:
    """Requests a second through the balancer; with NGINX in its place, those the apps answer."""
    if snapshot.changed("balancer"):
        return snapshot.rate("balancer", "balancer_requests_total")
    return sum(
        snapshot.rate("app", "http_requests_total", route=route) for route in ("/", "/data/:id")
    )


def front_statuses(snapshot: Snapshot) -> dict[str, float]:
    """Answers a second by status."""
    if snapshot.changed("balancer"):
        return snapshot.rates("balancer", "balancer_requests_total", "status")
    return snapshot.rates("app", "http_requests_total", "status")


def front_errors(snapshot: Snapshot) -> float:
    """5xx a second."""
    return sum(rate for status, rate in front_statuses(snapshot).items() if status[:1] == "5")


def front_quantile(snapshot: Snapshot, q: float) -> float | None:
    """Seconds from a request's head to the end of its answer."""
    if snapshot.changed("balancer"):
        return snapshot.quantile("balancer", "balancer_request_duration_seconds", q)
    return snapshot.quantile("app", "http_request_duration_seconds", q, route="/")


def attempts_per_request(snapshot: Snapshot) -> float | None:
    """Attempts at the external service for one answer; None while nothing is asked."""
    answers = snapshot.rate("app", "answers_total")
    attempts = snapshot.rate("app", "external_requests_total")
    return attempts / answers if answers else None


def records(snapshot: Snapshot) -> dict[str, float]:
    """Records by shard, of the shards that answer."""
    shards: dict[str, float] = {}
    for change in snapshot.changed("app"):
        for labels, value in change.now.of("redis_keys_total"):
            shards[labels["shard"]] = max(value, shards.get(labels["shard"], 0.0))
    return shards
