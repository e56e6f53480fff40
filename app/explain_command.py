"""`python -m app explain`: what the settings of the external call come to here, in plain words.

Reads the counters of the running instances and what their workers share; asks nobody.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, replace
from math import isnan
from pathlib import Path
from typing import Any

import click

from monitoring.page import MetricsPage
from workers import SLOTS

from .arguments import option
from .policy_options import call_policy, policy_options
from .resilience import CallPolicy, Outcome, Phase
from .resilience.expectation import Expectation, Rates, expect
from .resilience.latency import quantile
from .shared_board import SharedBoard

FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_FAILED = (Outcome.HTTP_ERROR, Outcome.CONNECT_ERROR, Outcome.BAD_ANSWER)
_SILENT = (Outcome.TIMEOUT, Outcome.OVERTAKEN)
ENOUGH = 100  # attempts, below which shares are mostly luck


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@option("--metrics-dir", type=FOLDER, default="var/run/metrics/app", help="Counters to read.")
@option("--upstream-file", type=FILE, default="var/run/upstream", help="What workers share.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@policy_options
def explain(metrics_dir: Path, upstream_file: Path, as_json: bool, **options: Any) -> None:
    """What the settings of the external call do here: expected and seen.

    Give the settings as the service got them, or others, to see what these would do.
    """
    policy = call_policy(options)
    counts = count(metrics_dir)
    shared = SharedBoard(upstream_file, claim=False)
    try:
        told = report(policy, counts, shared, time.monotonic())
    finally:
        shared.close()
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo("\n".join(in_words(policy, told)))


def count(folder: Path) -> Counter[str]:
    """Totals of all instances: `name label`, e.g. `external_requests_total ok`."""
    totals: Counter[str] = Counter()
    for path in folder.iterdir():
        if not path.is_file() or path.read_bytes()[:8] != b"metrics\x00":
            continue
        page = MetricsPage(path, rows=SLOTS)
        for (name, suffix, labels), column in page.series().items():
            if name.startswith("external_") and not suffix:
                total = sum(value for value in page.values(column) if not isnan(value))
                totals[" ".join((name, *labels))] += int(total)
    return totals


def report(
    policy: CallPolicy, counts: Counter[str], shared: SharedBoard, now: float
) -> dict[str, Any]:
    """All figures; `rates` and `expected` are None while too little was seen."""
    latencies = shared.board.latencies(now)
    typical = quantile(latencies, 0.5) or 0.002
    delay = policy.hedge.delay(quantile(latencies, 0.95))
    found = rates(counts, typical)
    calls = sum(counts[f"external_calls_total {r}"] for r in _RESULTS)
    fallbacks = counts["external_calls_total fallback"]
    tried = sum(counts[f"external_requests_total {outcome}"] for outcome in Outcome)
    expected = expect(policy, found, delay) if found else None
    return {
        "attempts_seen": tried,
        "calls_seen": calls,
        "seen": {
            "fallbacks": fallbacks / calls if calls else None,
            "attempts_per_call": tried / calls if calls else None,
        },
        "rates": asdict(found) if found else None,
        "hedge_delay_seconds": delay,
        "breaker": Phase(shared.board.phase()).name.lower().replace("_", " "),
        "expected": asdict(expected) if expected else None,
        "advice": advice(policy, found, delay) if found else [],
    }


_RESULTS = ("first_try", "after_retry", "after_hedge", "fallback")


def rates(counts: Counter[str], typical: float) -> Rates | None:
    """How attempts ended, None when there were too few. Those whose client left say nothing."""
    ok = counts["external_requests_total ok"]
    failed = sum(counts[f"external_requests_total {outcome}"] for outcome in _FAILED)
    silent = sum(counts[f"external_requests_total {outcome}"] for outcome in _SILENT)
    total = ok + failed + silent
    if total < ENOUGH:
        return None
    return Rates(ok / total, failed / total, silent / total, ok_seconds=typical)


def advice(policy: CallPolicy, found: Rates, delay: float) -> list[str]:
    """Which setting to change, most useful first; empty when all is well."""
    now = expect(policy, found, delay)
    told = []
    if policy.budget.enabled and now.attempts - 1 > policy.budget.ratio:
        told.append(
            f"APP_UPSTREAM_BUDGET_RATIO={now.attempts - 1:.1f}: retries and hedges need"
            f" {now.attempts - 1:.2f} per call, and the budget allows {policy.budget.ratio:g}"
        )
    if now.fallbacks > 0.005:
        more = {
            f"APP_UPSTREAM_RETRIES={policy.retry.retries + 1}": replace(
                policy, retry=replace(policy.retry, retries=policy.retry.retries + 1)
            ),
            f"APP_UPSTREAM_HEDGES={policy.hedge.hedges + 1}": replace(
                policy, hedge=replace(policy.hedge, hedges=policy.hedge.hedges + 1)
            ),
            f"APP_UPSTREAM_DEADLINE={policy.deadline * 1.5:g}": replace(
                policy, deadline=policy.deadline * 1.5
            ),
        }
        then = {name: expect(other, found, delay) for name, other in more.items()}
        best = min(then, key=lambda name: then[name].fallbacks)
        if then[best].fallbacks < 0.9 * now.fallbacks:
            told.append(
                f"{best}: fallbacks from {now.fallbacks:.2%} to {then[best].fallbacks:.2%},"
                f" for {then[best].attempts:.2f} upstream calls per request"
            )
    if now.false_trip > 1e-4:
        told.append(
            f"APP_UPSTREAM_BREAKER_RATIO higher than {_ratio(policy):g}: it would open by chance"
            f" in {now.false_trip:.2%} of its looks"
        )
    return told


def _ratio(policy: CallPolicy) -> float:
    return policy.breaker.ratio if policy.breaker else 1.0


def in_words(policy: CallPolicy, told: dict[str, Any]) -> list[str]:
    """The report for people."""
    if told["expected"] is None:
        return [
            f"Only {told['attempts_seen']} attempts were seen; from {ENOUGH} on there is something"
            " to say. Ask the service for a while: curl http://127.0.0.1:8080/"
        ]
    found, will = Rates(**told["rates"]), Expectation(**told["expected"])
    lines = [
        f"Of {told['attempts_seen']} attempts, {found.ok:.1%} succeeded, {found.failed:.1%} failed"
        f" and {found.silent:.1%} stayed silent.",
        f"With {policy.retry.retries} retries and {policy.hedge.hedges} hedges after"
        f" {told['hedge_delay_seconds'] * 1000:.0f} ms, within {policy.deadline:g} s:",
        f"  fallbacks               {will.fallbacks:.2%} expected,"
        f" {_share(told['seen']['fallbacks'])} seen",
        f"  an answer takes         {will.mean * 1000:.0f} ms on average,"
        f" {will.p99 * 1000:.0f} ms at p99",
        f"  upstream calls/request  {will.attempts:.2f} expected,"
        f" {told['seen']['attempts_per_call'] or 0:.2f} seen; {1 / found.ok:.2f} is the least"
        if found.ok
        else "  upstream calls/request  no attempt has succeeded",
    ]
    if policy.breaker is None:
        lines.append("The breaker is off: in an outage every request is tried in full.")
    else:
        lines += [
            f"The breaker is {told['breaker']}. In an outage, up to {will.attempts_in_outage:.1f}"
            f" upstream calls per request until it opens, after {policy.breaker.streak} calls at"
            f" most; then {will.probes_a_second:.1f} tries a second from the whole box.",
            f"  opens by mistake        {will.false_trip:.1e} of its looks",
        ]
    return (
        lines
        + [f"Change {one}" for one in told["advice"] or []]
        + ([] if told["advice"] else ["Nothing to change."])
    )


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.2%}"
