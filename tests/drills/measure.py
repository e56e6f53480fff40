"""What the answers of a drill come to. Pure: numbers in, numbers out, no clock.

All moments are seconds of the same monotonic clock; a request belongs to the moment it was due.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .answers import Answer

BUCKET = 0.5  # seconds; the resolution of recovery times


@dataclass(frozen=True)
class Times:
    """Seconds; None when there was nothing to measure."""

    p50: float | None
    p99: float | None


@dataclass(frozen=True)
class Second:
    """One second of a drill; `at` counts from its start, `kinds` how answers were, by kind."""

    at: int
    kinds: dict[str, int]
    times: Times

    @property
    def requests(self) -> int:
        return sum(self.kinds.values())

    @property
    def failed(self) -> int:
        return self.kinds.get("failed", 0) + self.kinds.get("refused", 0)


@dataclass(frozen=True)
class Baseline:
    """How it was before the fault; shares of the answers to `GET /`, 0 to 1."""

    times: Times
    live: float
    stored: float


def percentile(values: Iterable[float], share: float) -> float | None:
    """Nearest rank: the smallest value that is not exceeded by `share` (0 to 1) of all values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def times(answers: Iterable[Answer]) -> Times:
    """Of everything somebody waited for: complete answers and time-outs. A connection that was
    refused is no answer, and being quick does not make it a good one."""
    waited = [a.latency for a in answers if a.status or a.outcome == "timeout"]
    return Times(percentile(waited, 0.5), percentile(waited, 0.99))


def between(answers: Iterable[Answer], start: float, end: float) -> list[Answer]:
    """Those due in [start, end)."""
    return [answer for answer in answers if start <= answer.due < end]


def seconds(answers: Iterable[Answer], start: float, end: float) -> list[Second]:
    """Every second from start to end, those without any request too; the last may be cut."""
    parts: list[list[Answer]] = [[] for _ in range(math.ceil(end - start))]
    for answer in between(answers, start, end):
        parts[int(answer.due - start)].append(answer)
    return [
        Second(at, dict(Counter(answer.kind for answer in part)), times(part))
        for at, part in enumerate(parts)
    ]


def worst_second(found: Sequence[Second]) -> Second | None:
    """The one with most failures, of those the one with the longest p99."""
    asked = [second for second in found if second.requests]
    return max(asked, key=lambda second: (second.failed, second.times.p99 or 0.0), default=None)


def share_live(answers: Iterable[Answer]) -> float:
    """Of the answers to `GET /`; 0 when there is none."""
    sources = [answer.source for answer in answers if answer.request == "ask" and answer.ok]
    return sources.count("live") / len(sources) if sources else 0.0


def share_stored(answers: Iterable[Answer]) -> float:
    """Of the answers to `GET /`; 0 when there is none."""
    asks = [answer.acknowledged for answer in answers if answer.request == "ask" and answer.ok]
    return sum(asks) / len(asks) if asks else 0.0


def baseline(answers: Sequence[Answer]) -> Baseline:
    return Baseline(times(answers), share_live(answers), share_stored(answers))


def is_good(answers: Sequence[Answer], before: Baseline) -> bool:
    """As good as before the fault: nothing failed, half of the answers come in at most three
    times (and 0.3 s, one slow attempt) of what they took, and at least half as large a share as
    before is live and stored. Generous, so that the stock faults of the external service do not
    count as a fault of the product."""
    p50 = times(answers).p50
    return (
        bool(answers)
        and all(answer.ok for answer in answers)
        and p50 is not None
        and p50 <= 3 * (before.times.p50 or 0.0) + 0.3
        and 2 * share_live(answers) >= before.live
        and 2 * share_stored(answers) >= before.stored
    )


def recovered_at(
    answers: Iterable[Answer], gone: float, complete_until: float, before: Baseline, need: float
) -> float | None:
    """The moment from which on everything was good for `need` seconds; None: not (yet).

    Looked at in buckets of half a second, counted from `gone`, the end of the fault; only buckets
    all of whose requests have ended are judged.
    """
    count = max(0, int((complete_until - gone) / BUCKET))
    buckets: list[list[Answer]] = [[] for _ in range(count)]
    for answer in between(answers, gone, gone + count * BUCKET):
        buckets[min(int((answer.due - gone) / BUCKET), count - 1)].append(answer)
    run = 0
    for index, bucket in enumerate(buckets):
        run = run + 1 if is_good(bucket, before) else 0
        if run * BUCKET >= need:
            return gone + (index + 1 - run) * BUCKET
    return None


def live_again(answers: Iterable[Answer], gone: float, before: Baseline) -> float | None:
    """Seconds from `gone` to the first answers of which at least half as large a share as before
    the fault is live, by when they arrived: a window of a quarter of a second, moved on by an
    answer at a time. None: never."""
    asks = sorted(
        (a for a in answers if a.request == "ask" and a.ok and a.done >= gone),
        key=lambda answer: answer.done,
    )
    live = begin = 0
    for end, answer in enumerate(asks):
        live += answer.source == "live"
        while asks[begin].done < answer.done - BUCKET / 2:
            live -= asks[begin].source == "live"
            begin += 1
        if live and 2 * live / (end + 1 - begin) >= before.live:
            return answer.done - gone
    return None
