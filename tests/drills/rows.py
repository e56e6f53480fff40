"""How figures are written, in the terminal and on the page. Pure."""

from __future__ import annotations

from .measure import Second, Times
from .results import DrillResult

HEADINGS = (
    "drill", "verdict", "requests", "failed", "refused", "worst second", "before", "during",
    "after", "recovery", "acked", "lost", "unknown",
)  # fmt: skip

TOLD_FROM = 0.1  # share of all CPUs; below it is not worth a word


def cells(result: DrillResult) -> tuple[str, ...]:
    """One cell for each of HEADINGS; `before` to `after` are p50 / p99 in milliseconds."""
    if not result.requests:
        return (result.name, result.verdict, *("-" for _ in HEADINGS[2:]))
    return (
        result.name,
        result.verdict,
        f"{result.requests:,}",
        f"{result.failed:,}",
        f"{result.refused:,}",
        worst(result.worst),
        pair(result.before),
        pair(result.during),
        pair(result.after),
        "never" if result.recovery is None else f"{result.recovery:.1f} s",
        f"{result.acknowledged:,}",
        f"{result.lost:,}",
        f"{result.unknown:,}",
    )


def disturbed(result: DrillResult) -> str:
    """What the reader has to know of the machine; "" when it had little else to do."""
    if result.others is None or result.others < TOLD_FROM:
        return ""
    return f"Other programs used {result.others:.0%} of this machine's CPUs meanwhile."


def worst(second: Second | None) -> str:
    """`12 of 400` when something failed in it, else its p99."""
    if second is None:
        return "-"
    if second.failed:
        return f"{second.failed:,} of {second.requests:,}"
    return f"p99 {milliseconds(second.times.p99)} ms"


def pair(times: Times) -> str:
    return f"{milliseconds(times.p50)} / {milliseconds(times.p99)}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.1f}" if value < 0.01 else f"{value * 1000:,.0f}"
