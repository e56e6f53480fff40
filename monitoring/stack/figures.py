"""What the programs' own pages come to: workers, shards, breaker, rates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]
Samples = Mapping[str, list[tuple[Labels, float]]]  # of one page, by the sample's name

_PHASES = ("closed", "open", "half open", "ramping")  # of `external_breaker_state`
_OWN_ROUTES = ("/metrics", "/readyz", "/healthz", "/workers")


@dataclass(frozen=True)
class Page:
    """What one program told: its metrics, and of its pool what `GET /workers` says."""

    program: str
    samples: Samples
    pool: Mapping[str, Any] | None


@dataclass(frozen=True)
class PoolFigures:
    """Workers of one program; `replaced` counts why some were, without those that were not."""

    program: str
    ready: int
    wanted: int
    replaced: dict[str, int]


@dataclass(frozen=True)
class ShardFigures:
    """`records` None: it does not answer. `copies_due`: records it lacks, kept by others."""

    shard: str
    up: bool
    records: int | None
    copies_due: int


@dataclass(frozen=True)
class Rates:
    """Per second, over `seconds`. `sources`: answers by where their data is from."""

    seconds: float
    requests: float
    failed: float
    sources: dict[str, float]
    attempts: float
    shed: float


@dataclass(frozen=True)
class Figures:
    """`breaker` None, `rates` None: no program that knows answered (twice)."""

    pools: tuple[PoolFigures, ...]
    shards: tuple[ShardFigures, ...]
    breaker: str | None
    rates: Rates | None


def figures(before: Iterable[Page], after: Iterable[Page], seconds: float) -> Figures:
    """From two looks, so many seconds apart."""
    pages = list(after)
    known = {page.program: page for page in before}
    twice = [(known[page.program], page) for page in pages if page.program in known]
    return Figures(
        pools=tuple(_pool(page.program, page.pool) for page in pages if page.pool),
        shards=_shards(pages),
        breaker=_breaker(pages),
        rates=_rates(twice, seconds) if twice and seconds > 0 else None,
    )


def _pool(program: str, pool: Mapping[str, Any]) -> PoolFigures:
    return PoolFigures(
        program=program,
        ready=sum(worker["state"] == "ready" for worker in pool["workers"]),
        wanted=int(pool["wanted"]),
        replaced={why: count for why, count in pool["restarts"].items() if count},
    )


def _shards(pages: list[Page]) -> tuple[ShardFigures, ...]:
    """As the apps see them; one that any of them reaches is up."""
    up, records, due = (
        _highest(pages, name, "shard")
        for name in ("redis_shard_up", "redis_keys_total", "store_hints")
    )
    return tuple(
        ShardFigures(
            shard=name,
            up=value > 0,
            records=int(records[name]) if name in records else None,
            copies_due=int(due.get(name, 0)),
        )
        for name, value in sorted(up.items())
    )


def _breaker(pages: list[Page]) -> str | None:
    states = _highest(pages, "external_breaker_state", "")
    if not states:
        return None
    state = int(states[""])
    return _PHASES[state] if 0 <= state < len(_PHASES) else "not known"


def _rates(twice: list[tuple[Page, Page]], seconds: float) -> Rates:
    """What the front door counts; where it is another's, what the apps count."""
    door = [pair for pair in twice if "balancer_requests_total" in pair[1].samples]
    requests = (
        _grown(door, "balancer_requests_total", "status")
        if door
        else _grown(twice, "http_requests_total", "status", apps_only=True)
    )
    failed = sum(count for status, count in requests.items() if status.startswith("5"))
    shed = [_total(twice, name) for name in ("balancer_shed_total", "http_requests_shed_total")]

    def rate(count: float) -> float:
        return round(count / seconds, 1)

    return Rates(
        seconds=round(seconds, 2),
        requests=rate(sum(requests.values())),
        failed=rate(failed),
        sources={
            name: rate(count) for name, count in _grown(twice, "answers_total", "source").items()
        },
        attempts=rate(_total(twice, "external_requests_total")),
        shed=rate(sum(shed)),
    )


def _total(twice: list[tuple[Page, Page]], name: str) -> float:
    return sum(_grown(twice, name, "").values())


def _grown(
    twice: list[tuple[Page, Page]], name: str, label: str, *, apps_only: bool = False
) -> dict[str, float]:
    """How far a counter went, by a label; one that began anew counts from 0."""
    grown: dict[str, float] = {}
    for before, after in twice:
        if apps_only and "answers_total" not in after.samples:
            continue
        past = {
            tuple(sorted(labels.items())): value for labels, value in before.samples.get(name, ())
        }
        for labels, value in after.samples.get(name, ()):
            if labels.get("route") in _OWN_ROUTES:
                continue
            was = past.get(tuple(sorted(labels.items())), 0.0)
            key = labels.get(label, "")
            grown[key] = grown.get(key, 0.0) + (value - was if value >= was else value)
    return grown


def _highest(pages: list[Page], name: str, label: str) -> dict[str, float]:
    """The highest value that any page has, by a label."""
    found: dict[str, float] = {}
    for page in pages:
        for labels, value in page.samples.get(name, ()):
            key = labels.get(label, "")
            found[key] = max(found.get(key, value), value)
    return found
