"""Six numbers, and one second of every chart. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .snapshot import (
    Snapshot,
    attempts_per_request,
    front_errors,
    front_quantile,
    front_rate,
    front_statuses,
    records,
)  # fmt: skip


@dataclass(frozen=True)
class Number:
    name: str
    value: str
    unit: str
    note: str


def six_numbers(snapshot: Snapshot) -> list[Number]:
    """What a person looks at first; – where there is nothing to tell yet."""
    rate, errors = front_rate(snapshot), front_errors(snapshot)
    answers = snapshot.rates("app", "answers_total", "source")
    given = sum(answers.values())
    live = answers.get("live", 0.0) / given if given else None
    slow, attempts, shards = (
        front_quantile(snapshot, 0.95), attempts_per_request(snapshot), records(snapshot)
    )  # fmt: skip
    missing = snapshot.rate("app", "store_writes_total", stored="none")
    return [
        Number("Requests", _short(rate), "/s", "through the front door"),
        Number("Errors", _short(errors), "/s", "status 5xx"),
        Number("p95", "–" if slow is None else f"{slow * 1000:.0f}", "ms", "slowest 5 % take more"),
        Number(
            "Real data", "–" if live is None else f"{100 * live:.0f}", "%",
            "of answers; the rest are fallbacks",
        ),
        Number(
            "Attempts", "–" if attempts is None else f"{attempts:.1f}", "",
            "at the external service, per answer",
        ),
        Number(
            "Records", f"{max(shards.values()):.0f}" if shards else "–", "",
            f"{_short(missing)}/s not stored" if missing else "on every shard that answers",
        ),
    ]  # fmt: skip


def _short(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def chart_point(snapshot: Snapshot) -> dict[str, Any]:
    """One second of all charts; `at` in Unix milliseconds, times in ms, memory in MB."""

    def milliseconds(q: float) -> float | None:
        seconds = front_quantile(snapshot, q)
        return None if seconds is None else round(1000 * seconds, 2)

    return {
        "at": round(1000 * snapshot.at),
        "kinds": _rounded(kinds_of_answers(snapshot)),
        "times": {"p50": milliseconds(0.5), "p95": milliseconds(0.95), "p99": milliseconds(0.99)},
        "attempts": {"attempts": attempts_per_request(snapshot)},
        "shards": _rounded(
            {
                program.name: snapshot.rate("app", "redis_operations_total", shard=program.name)
                for program in snapshot.programs("shard")
            }
        ),
        "cpu": _rounded({name: use.cpu_percent for name, use in snapshot.uses.items()}),
        "memory": _rounded({name: use.memory_bytes / 1e6 for name, use in snapshot.uses.items()}),
    }


def kinds_of_answers(snapshot: Snapshot) -> dict[str, float]:
    """Answers a second: where their data is from, records read back, refusals, failures."""
    sources = snapshot.rates("app", "answers_total", "source")
    statuses = front_statuses(snapshot)
    refused = statuses.get("503", 0.0)
    return {
        "live": sources.get("live", 0.0),
        "read back": snapshot.rate("app", "http_requests_total", route="/data/:id", status="200"),
        "stale": sources.get("stale", 0.0),
        "fallback": sources.get("fallback", 0.0),
        "refused": refused,
        "failed": max(0.0, front_errors(snapshot) - refused),
    }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
