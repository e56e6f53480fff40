"""What is wrong, from one look: simple rules, each names the part. Pure.

The same findings are the verdict sentence (the worst ones) and the list of alerts (all).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..stack.state import Level, ProgramState
from .snapshot import (
    FAILED,
    Snapshot,
    address,
    front_errors,
    front_quantile,
    front_rate,
)  # fmt: skip

RECENT_SECONDS = 10
SILENT_SECONDS = 2.5  # a worker says every half second that its loop turns
MANY_CONNECTIONS = 80
SLOW_SECONDS = 2.5
MOSTLY = 0.5  # stock faults fail 3 attempts in 10, and that is normal here
SHED_PER_SECOND = 0.5
WORST = 2

_HOW = {
    "http_error": "with error statuses",
    "bad_answer": "with bytes that are no answer",
    "connect_error": "with connections refused or reset",
    "timeout": "by not answering in time",
}
_FAULTS = {
    "failure": "fail", "hang": "hang", "reset": "reset connections",
    "garbage": "answer garbage", "truncated": "cut answers short",
    "drip": "answer byte by byte",
}  # fmt: skip
_WORDS = {
    "starting": "does not answer", "failing": "keeps ending", "stopped": "is stopped",
    "unknown": "is not known to run",
}  # fmt: skip
_RANK: dict[Level, int] = {"down": 0, "degraded": 1, "ok": 2}


@dataclass(frozen=True)
class Finding:
    """`level` ok: worth telling, and harmless. `text` begins in lower case, without a period."""

    part: str
    level: Level
    text: str


def findings(snapshot: Snapshot) -> list[Finding]:
    """Everything that is wrong, the worst first."""
    found = [finding for rule in _RULES for finding in rule(snapshot)]
    return sorted(found, key=lambda finding: _RANK[finding.level])


def verdict(snapshot: Snapshot, found: list[Finding]) -> tuple[Level, str]:
    """One sentence about the whole, naming what is broken."""
    if not snapshot.state.supervisor_pid and snapshot.state.programs:
        return snapshot.state.level, snapshot.state.sentence
    bad = [finding for finding in found if finding.level != "ok"]
    if not bad:
        told = "".join(f" Now: {finding.text}." for finding in found[:WORST])
        state = snapshot.state
        return "ok", (state.sentence if state.level == "ok" else "All is well.") + told
    if all(not program.well for program in snapshot.state.programs if not program.optional):
        return "down", snapshot.state.sentence
    level = bad[0].level
    more = len(bad) - WORST
    text = "; ".join(finding.text for finding in bad[:WORST])
    tail = f"; and {more} more" if more > 0 else ""
    return level, f"{'Down' if level == 'down' else 'Degraded'}: {text}{tail}."


def _programs(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.state.programs:
        if program.well or program.optional or program.condition not in _WORDS:
            continue
        what = f"{program.name} {_WORDS[program.condition]}"
        if program.condition in ("starting", "failing") and program.note:
            what += f" ({program.note})"
        effect, level = _effect(snapshot, program)
        yield Finding(program.name, level, what + (f", {effect}" if effect else ""))


def _effect(snapshot: Snapshot, program: ProgramState) -> tuple[str, Level]:
    role = snapshot.roles.get(program.name, "other")
    well = [one for one in snapshot.programs(role) if one.well]
    others = " and ".join(one.name for one in well)
    if role == "shard":
        if well:
            return f"records are kept by {others} meanwhile", "degraded"
        return "nothing is stored", "degraded"
    if role == "unstable":
        return "answers are fallbacks", "degraded"
    if role == "app":
        return (f"{others} does its work", "degraded") if well else ("nobody answers", "down")
    if role == "balancer":
        return "nothing comes through the front door", "down"
    return "", "degraded"


def _died(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.state.programs:
        ago = snapshot.at - program.died
        fresh = program.condition == "ready" and program.uptime_seconds <= RECENT_SECONDS
        if fresh and program.died and not program.optional and ago <= RECENT_SECONDS:
            ours = snapshot.roles.get(program.name, "other") != "other"
            yield Finding(
                program.name,
                "degraded" if ours else "ok",
                f"{program.name} ended and was started again {max(0, int(ago))} s ago",
            )  # fmt: skip


def _workers(snapshot: Snapshot) -> Iterator[Finding]:
    for name, pool in snapshot.pools.items():
        workers = pool.get("workers", [])
        if pool.get("respawn_in", 0) >= 1:
            yield Finding(
                name, "degraded",
                f"workers of {name} keep crashing, the next starts in {pool['respawn_in']:.0f} s",
            )  # fmt: skip
        for worker in workers:
            if worker["state"] == "ready" and worker["silent"] >= SILENT_SECONDS:
                yield Finding(
                    name, "degraded",
                    f"worker {worker['pid']} of {name} stands still since "
                    f"{worker['silent']:.0f} s and will be replaced",
                )  # fmt: skip
    for name, reasons in snapshot.restarts.items():
        for reason, count in reasons.items():
            if count and reason in ("crash", "hang"):
                lost = "a worker" if count == 1 else f"{count} workers"
                yield Finding(name, "degraded", f"{name} lost {lost} ({reason}) and replaces it")
            elif count:
                yield Finding(name, "ok", f"{name} replaces its workers ({reason})")


def _overload(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.programs("app", "balancer"):
        change = snapshot.changes.get(program.name)
        if change is None:
            continue
        shed = change.rate("balancer_shed_total") + change.rate("http_requests_shed_total")
        if shed >= SHED_PER_SECOND:
            yield Finding(
                program.name, "degraded",
                f"overload: {program.name} refuses {shed:.0f} requests/s at once",
            )  # fmt: skip


def _shards(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.programs("shard"):
        if program.condition != "ready":
            continue
        shard = program.name

        def failing(result: str, shard: str = shard) -> dict[str, float]:
            rates = snapshot.rates(
                "app", "redis_operations_total", "op", shard=shard, result=result
            )
            return {op: rate for op, rate in rates.items() if rate > 0}

        refused, late = failing("error"), failing("timeout")
        if late:
            yield Finding(shard, "degraded", f"{shard} does not answer the apps in time")
        elif refused and set(refused) <= {"set", "heal", "probe"}:
            yield Finding(
                shard, "degraded",
                f"{shard} refuses writes ({sum(refused.values()):.0f}/s): disk or memory full?",
            )  # fmt: skip
        elif refused:
            yield Finding(shard, "degraded", f"operations on {shard} fail")
        missing = snapshot.most("app", "store_hints", shard=shard)
        if missing:
            yield Finding(
                shard, "degraded", f"{shard} lacks {missing:.0f} records, to be copied back"
            )
    copies = snapshot.rate("app", "store_copies_made_total")
    if copies:
        names = " and ".join(program.name for program in snapshot.programs("shard"))
        yield Finding("shards", "ok", f"copies are made good, {copies:.0f} records/s ({names})")


def _external(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.programs("unstable"):
        if program.condition != "ready":
            continue
        if cause := _set_faults(snapshot, program.name):
            yield Finding(program.name, "degraded", cause)
        outcomes = snapshot.rates("app", "external_requests_total", "outcome")
        failed = {outcome: outcomes.get(outcome, 0.0) for outcome in FAILED}
        ended = sum(failed.values()) + outcomes.get("ok", 0.0)
        if snapshot.breaker in ("open", "half open"):
            yield Finding(
                program.name, "degraded",
                f"the apps have given {program.name} up (breaker {snapshot.breaker}), "
                "answers are fallbacks",
            )  # fmt: skip
        elif ended >= 2 and sum(failed.values()) > MOSTLY * ended:
            worst = max(failed, key=lambda outcome: failed[outcome])
            share = sum(failed.values()) / ended
            yield Finding(
                program.name, "degraded",
                f"{program.name} fails {share:.0%} of the attempts, {_HOW[worst]}",
            )  # fmt: skip
        elif not cause and (fallbacks := snapshot.rate("app", "fallbacks_total")) >= 1:
            yield Finding(
                program.name, "degraded",
                f"{program.name} brings too little, {fallbacks:.0f} answers/s are fallbacks",
            )  # fmt: skip


def _set_faults(snapshot: Snapshot, name: str) -> str:
    change = snapshot.changes.get(name)
    if change is None:
        return ""
    rates = {kind: change.value("fault_rate", kind=kind) for kind in _FAULTS}
    kind = max(rates, key=lambda one: rates[one])
    if rates[kind] <= MOSTLY:
        return ""
    return f"{name} is set to {_FAULTS[kind]} at {rates[kind]:.0%} of the requests"


def _backends(snapshot: Snapshot) -> Iterator[Finding]:
    for program in snapshot.programs("app"):
        if program.condition != "ready":
            continue
        for change in snapshot.changed("balancer"):
            backend = address(program)
            known = any(True for _ in change.now.of("balancer_backend_up", backend=backend))
            if known and not change.value("balancer_backend_up", backend=backend):
                yield Finding(program.name, "degraded", f"{program.name} fails its health checks")
            elif change.value("balancer_backend_ejected", backend=backend):
                text = f"the balancer keeps {program.name} out, requests to it failed"
                yield Finding(program.name, "degraded", text)


def _front(snapshot: Snapshot) -> Iterator[Finding]:
    errors = front_errors(snapshot)
    if errors >= SHED_PER_SECOND:
        yield Finding("front door", "degraded", f"the front door answers {errors:.0f} errors/s")
    slow = front_quantile(snapshot, 0.95)
    if slow is not None and slow > SLOW_SECONDS:
        yield Finding("front door", "degraded", f"answers are slow, p95 is {slow:.1f} s")
    for change in snapshot.changed("balancer"):
        held = change.value("balancer_connections", side="client")
        if held >= MANY_CONNECTIONS and held > 2 * front_rate(snapshot):
            yield Finding(
                "clients", "degraded",
                f"slow clients: {held:.0f} connections are held open and few of them ask",
            )  # fmt: skip


_RULES: tuple[Callable[[Snapshot], Iterator[Finding]], ...] = (
    _programs, _external, _workers, _died, _shards, _overload, _backends, _front,
)  # fmt: skip
