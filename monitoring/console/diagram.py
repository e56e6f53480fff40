"""The stack as nodes and edges with their live state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..stack.state import Condition, ProgramState
from ..stack.status import WORDS
from .snapshot import (
    FAILED,
    Snapshot,
    address,
    front_errors,
    front_quantile,
    front_rate,
    records,
)  # fmt: skip

Health = Literal["good", "warn", "bad", "idle"]
_HEALTH: dict[Condition, Health] = {
    "ready": "good", "starting": "warn", "failing": "bad", "stopped": "bad",
    "off": "idle", "absent": "idle", "unknown": "warn",
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """`lines`: at most three short ones under the name."""

    name: str
    kind: Literal["clients", "balancer", "app", "unstable", "shard"]
    health: Health
    word: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """From who asks to who answers; `label` is what goes over it, `lines` the whole story."""

    source: str
    target: str
    health: Health
    label: str
    story: str


@dataclass(frozen=True)
class Diagram:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def node(self, name: str) -> Node:
        """Raises KeyError."""
        return {node.name: node for node in self.nodes}[name]

    def edge(self, source: str, target: str) -> Edge:
        """Raises KeyError."""
        return {(edge.source, edge.target): edge for edge in self.edges}[source, target]


def diagram(snapshot: Snapshot) -> Diagram:
    """Clients, front door, instances, the external service, shards; what there is of them."""
    doors, apps = snapshot.programs("balancer"), snapshot.programs("app")
    externals, shards = snapshot.programs("unstable"), snapshot.programs("shard")
    nodes = [Node("clients", "clients", "good", "", (f"{front_rate(snapshot):.0f} requests/s",))]
    nodes += [_balancer(snapshot, door) for door in doors]
    nodes += [_app(snapshot, app) for app in apps]
    nodes += [_external(snapshot, external) for external in externals]
    nodes += [_shard(snapshot, shard) for shard in shards]
    edges = [_front(snapshot, door) for door in doors]
    edges += [_backend(snapshot, door, app) for door in doors for app in apps]
    edges += [_attempts(snapshot, app, external) for app in apps for external in externals]
    edges += [_operations(snapshot, app, shard) for app in apps for shard in shards]
    return Diagram(tuple(nodes), tuple(edges))


def _word(program: ProgramState) -> str:
    return WORDS.get(program.condition, program.condition)


def _balancer(snapshot: Snapshot, program: ProgramState) -> Node:
    lines = [f"{front_errors(snapshot):.0f} errors/s"]
    if change := snapshot.changes.get(program.name):
        lines.append(f"{change.value('balancer_requests_in_flight'):.0f} in flight")
        lines.append(f"{change.rate('balancer_retries_total'):.0f} retries/s")
    health = _HEALTH[program.condition]
    return Node(program.name, "balancer", health, _word(program), tuple(lines))


def _app(snapshot: Snapshot, program: ProgramState) -> Node:
    health, lines = _HEALTH[program.condition], []
    if pool := snapshot.pools.get(program.name):
        ready = sum(worker["state"] == "ready" for worker in pool["workers"])
        lines.append(f"{ready} of {pool['wanted']} workers")
        if health == "good" and ready < pool["wanted"]:
            health = "warn"
    if change := snapshot.changes.get(program.name):
        lines.append(f"breaker {snapshot.breaker}")
        lines.append(f"{change.rate('answers_total', source='fallback'):.0f} fallbacks/s")
        if health == "good" and snapshot.breaker != "closed":
            health = "warn"
    return Node(program.name, "app", health, _word(program), tuple(lines))


def _external(snapshot: Snapshot, program: ProgramState) -> Node:
    lines = []
    if change := snapshot.changes.get(program.name):
        faults = {labels["kind"]: value for labels, value in change.now.of("fault_rate") if value}
        lines = [f"{value:.0%} {kind}" for kind, value in faults.items()][:3] or ["no faults set"]
    return Node(program.name, "unstable", _HEALTH[program.condition], _word(program), tuple(lines))


def _shard(snapshot: Snapshot, program: ProgramState) -> Node:
    lines, health = [], _HEALTH[program.condition]
    if (keys := records(snapshot).get(program.name)) is not None:
        lines.append(f"{keys:.0f} records")
    if missing := snapshot.most("app", "store_hints", shard=program.name):
        lines.append(f"healing: lacks {missing:.0f}")
        health = "warn" if health == "good" else health
    elif copies := snapshot.rate("app", "store_copies_made_total"):
        lines.append(f"healing: {copies:.0f}/s")
    return Node(program.name, "shard", health, _word(program), tuple(lines))


def _front(snapshot: Snapshot, door: ProgramState) -> Edge:
    rate, errors, slow = (
        front_rate(snapshot), front_errors(snapshot), front_quantile(snapshot, 0.95)
    )  # fmt: skip
    return _edge("clients", door, rate, errors, slow, what="requests")


def _backend(snapshot: Snapshot, door: ProgramState, app: ProgramState) -> Edge:
    change, backend = snapshot.changes.get(door.name), address(app)
    if change is None:
        return _untold(door.name, app)
    name, duration = "balancer_requests_total", "balancer_request_duration_seconds"
    statuses = change.rates(name, "status", backend=backend)
    failed = change.rate("balancer_upstream_errors_total", backend=backend)
    edge = _edge(
        door.name, app, sum(statuses.values()), failed,
        snapshot.quantile("balancer", duration, 0.95, backend=backend), what="requests",
    )  # fmt: skip
    for metric, word in (("ejected", "ejected"), ("draining", "draining")):
        if change.value(f"balancer_backend_{metric}", backend=backend):
            return Edge(edge.source, edge.target, "bad", word, f"{edge.story}, {word}")
    return edge


def _attempts(snapshot: Snapshot, app: ProgramState, external: ProgramState) -> Edge:
    change = snapshot.changes.get(app.name)
    if change is None:
        return _untold(app.name, external)
    outcomes = change.rates("external_requests_total", "outcome")
    slow = snapshot.quantile("app", "external_request_duration_seconds", 0.95)
    failed = sum(outcomes.get(outcome, 0.0) for outcome in FAILED)
    return _edge(app.name, external, sum(outcomes.values()), failed, slow, what="attempts")


def _operations(snapshot: Snapshot, app: ProgramState, shard: ProgramState) -> Edge:
    change = snapshot.changes.get(app.name)
    if change is None:
        return _untold(app.name, shard)
    results = change.rates("redis_operations_total", "result", shard=shard.name)
    slow = snapshot.quantile("app", "redis_operation_duration_seconds", 0.95, shard=shard.name)
    failed = sum(rate for result, rate in results.items() if result != "ok")
    return _edge(app.name, shard, sum(results.values()), failed, slow, what="operations")


def _untold(source: str, target: ProgramState) -> Edge:
    """Who asks did not tell what it asks."""
    health = _HEALTH[target.condition]
    return Edge(source, target.name, "idle" if health == "good" else health, "–", "not known")


def _edge(
    source: str, target: ProgramState, rate: float, failed: float, slow: float | None, *, what: str
) -> Edge:
    """An edge to what does not answer is broken, whatever goes over it."""
    label, story = f"{rate:.0f}/s", f"{rate:.1f} {what}/s, {failed:.1f} failed/s"
    health: Health = _HEALTH[target.condition]
    if health == "good":
        health = "warn" if failed > 0.5 * rate > 0 else "good" if rate else "idle"
    if failed >= 0.5:
        label += f" ✕{failed:.0f}"
    if slow is not None and rate > 0:
        story += f", p95 {1000 * slow:.1f} ms"
        if health != "bad":  # whatever is quick there, nothing is done
            label += f" {1000 * slow:.0f}ms" if slow >= 0.001 else " <1ms"
    return Edge(source, target.name, health, label, story)
