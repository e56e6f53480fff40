"""What the product promises, each a sentence that is kept or broken. Pure.

A promise looks at the evidence and returns a finding with its own sentence. Times are multiplied
by `evidence.patience`, 1 in a full run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from .answers import Answer
from .evidence import Evidence, Finding
from .measure import between, live_again, percentile

Promise = Callable[[Evidence], Finding]

MOST_SHOWN = 3
_ASKED = {None: "what is accepted", "ask": "GET /", "read": "GET /data/:id"}
ENOUGH_FOR_P99 = 2000  # answers; of fewer, fewer than twenty decide
ENOUGH_FOR_P95 = 200  # of fewer, fewer than ten


def none_of(sentence: str, bad: Iterable[Answer], of: int) -> Finding:
    """Kept when `bad` is empty; `of`: how many were looked at. Nothing looked at proves nothing."""
    found = list(bad)
    if not found:
        return Finding(sentence, of > 0, f"{of:,} looked at" if of else "there was none to look at")
    reasons = Counter(f"{answer.outcome}: {answer.reason}" for answer in found)
    worst = "; ".join(f"{count} x {why}" for why, count in reasons.most_common(MOST_SHOWN))
    return Finding(sentence, False, f"{len(found):,} of {of:,}: {worst}")


# Of every drill


def nothing_lost(evidence: Evidence) -> Finding:
    ledger = evidence.ledger
    sentence = "No acknowledged write is lost"
    if not ledger.lost:
        seen = f"{ledger.acknowledged:,} acknowledged, all read back"
        return Finding(sentence, ledger.acknowledged > 0, seen)
    reasons = Counter(ledger.lost.values()).most_common(MOST_SHOWN)
    why = "; ".join(f"{count} x {reason}" for reason, count in reasons)
    return Finding(sentence, False, f"{len(ledger.lost):,} of {ledger.acknowledged:,}: {why}")


def no_false_404(evidence: Evidence) -> Finding:
    reads = [answer for answer in evidence.answers if answer.request == "read"]
    missing = (answer for answer in reads if answer.outcome == "missing")
    return none_of("No acknowledged record is answered with 404", missing, len(reads))


def right_data(evidence: Evidence) -> Finding:
    wrong = (answer for answer in evidence.answers if answer.outcome == "wrong")
    return none_of("No answer is wrong", wrong, len(evidence.answers))


def ids_unique(evidence: Evidence) -> Finding:
    everybody = [*evidence.answers, *evidence.direct]
    ids = Counter(a.id for a in everybody if a.request == "ask" and a.id is not None)
    twice = [record_id for record_id, count in ids.items() if count > 1]
    return Finding("No id is given twice", not twice, f"{len(twice)} of {len(ids):,} twice")


def recovers(within: float) -> Promise:
    def recovered(evidence: Evidence) -> Finding:
        sentence = f"It is as good as before within {within:g} s"
        if evidence.recovered is None:
            return Finding(sentence, False, "it never was")
        took = evidence.recovered - evidence.gone
        return Finding(sentence, took <= within * evidence.patience, f"after {took:.1f} s")

    return recovered


# Of some


def no_ask_fails(evidence: Evidence) -> Finding:
    asks = evidence.asks
    return none_of("Every request to / is answered", (a for a in asks if not a.ok), len(asks))


def answered_within(seconds: float) -> Promise:
    """Also those that failed: nobody is kept waiting."""

    def within(evidence: Evidence) -> Finding:
        sentence = f"Every answer comes within {seconds:g} s"
        slowest = max((answer.latency for answer in evidence.answers), default=0.0)
        held = slowest <= seconds * evidence.patience
        return Finding(sentence, held and bool(evidence.answers), f"the slowest in {slowest:.2f} s")

    return within


def only_fallbacks(after: float = 1.0) -> Promise:
    """For an external service that gives nothing at all; asks answered before it is back."""

    def fallbacks(evidence: Evidence) -> Finding:
        start = evidence.began + after * evidence.patience
        asks = [a for a in between(evidence.asks, start, evidence.gone) if a.done < evidence.gone]
        others = (a for a in asks if not (a.ok and a.source in ("fallback", "stale")))
        sentence = f"After {after:g} s without it every answer is a fallback"
        return none_of(sentence, others, len(asks))

    return fallbacks


def real_data_again(within: float = 2.0) -> Promise:
    def again(evidence: Evidence) -> Finding:
        sentence = f"Real data is back within {within:g} s"
        took = live_again(evidence.asks, evidence.gone, evidence.before)
        if took is None:
            return Finding(sentence, False, "it never came back")
        return Finding(sentence, took <= within * evidence.patience, f"after {took:.2f} s")

    return again


def goes_on_storing(after: float = 1.0) -> Promise:
    """From `after` seconds into the fault on, while it lasts."""

    def stored(evidence: Evidence) -> Finding:
        asks = between(evidence.asks, evidence.began + after, evidence.gone)
        unstored = (answer for answer in asks if not answer.acknowledged)
        return none_of("Every write is stored while one shard is away", unstored, len(asks))

    return stored


def goes_on_reading(after: float = 1.0) -> Promise:
    """From `after` seconds into the fault on, while it lasts."""

    def readable(evidence: Evidence) -> Finding:
        during = between(evidence.answers, evidence.began + after, evidence.gone)
        reads = [answer for answer in during if answer.request == "read"]
        unread = (answer for answer in reads if not answer.ok)
        return none_of("Every record can be read while one shard is away", unread, len(reads))

    return readable


def no_read_fails(evidence: Evidence) -> Finding:
    reads = [answer for answer in evidence.answers if answer.request == "read"]
    return none_of("Every record can be read", (a for a in reads if not a.ok), len(reads))


def fails_only_within(seconds: float) -> Promise:
    """For the front door itself, which nothing stands in for."""

    def outage(evidence: Evidence) -> Finding:
        sentence = f"Nothing fails but within {seconds:g} s of the kill"
        end = evidence.began + seconds * evidence.patience
        failed = [a for a in evidence.answers if not a.ok]
        outside = [a for a in failed if not (a.done >= evidence.began and a.due < end)]
        if outside:
            return none_of(sentence, outside, len(evidence.answers))
        last = max((answer.due for answer in failed), default=evidence.began) - evidence.began
        return Finding(sentence, bool(evidence.answers), f"{len(failed)} failed, for {last:.2f} s")

    return outage


def as_fast_as_before(
    factor: float,
    share: float = 0.99,
    spare: float = 0.25,
    *,
    after: float = 0.0,
    request: str | None = None,
) -> Promise:
    """Of the answers to accepted requests from `after` seconds into the fault on, while it lasts;
    `request`: of this kind alone. Where they are few it is p95, about one in a hundred meets the
    deadline of the stock faults, with and without load; where they are very few it is the median.
    """

    def fast(evidence: Evidence) -> Finding:
        start = evidence.began + after
        times = ((evidence.started, evidence.began), (start, evidence.gone))
        sides = [
            [a for a in between(evidence.answers, *time) if a.ok and request in (None, a.request)]
            for time in times
        ]
        told_by = _told_by(min(map(len, sides)), share)
        name = f"p{told_by * 100:g}"
        what = _ASKED[request]
        sentence = f"{name} of {what} stays within {factor:g} times"
        if after:
            sentence += f" after {after:g} s"
        was, now = (percentile((a.latency for a in side), told_by) for side in sides)
        if was is None or now is None:
            return Finding(sentence, False, "nothing was accepted")
        held = now <= (factor * was + spare) * evidence.patience
        return Finding(sentence, held, f"{was:.3f} s before, {now:.3f} s during")

    return fast


def _told_by(answers: int, share: float) -> float:
    if answers >= ENOUGH_FOR_P99:
        return share
    return min(share, 0.95 if answers >= ENOUGH_FOR_P95 else 0.5)


# A shard that is away: `spare` is a turn or two of the scheduler.
answers_as_fast = as_fast_as_before(2, spare=0.01, after=1, request="ask")
reads_as_fast = as_fast_as_before(2, spare=0.01, after=1, request="read")


def only_quick_refusals(within: float = 0.5) -> Promise:
    """What is not answered is refused with 503 and Retry-After, and told so at once."""

    def refusals(evidence: Evidence) -> Finding:
        sentence = f"What is not answered is refused, within {within:g} s"
        failed = [answer for answer in evidence.answers if not answer.ok]
        rude = [answer for answer in failed if answer.outcome != "refused"]
        if rude:
            return none_of(sentence, rude, len(evidence.answers))
        p99 = percentile((answer.latency for answer in failed), 0.99) or 0.0
        held = p99 <= within * evidence.patience and bool(evidence.answers)
        return Finding(sentence, held, f"{len(failed):,} refused, p99 {p99:.3f} s")

    return refusals


def instance_cuts_nothing(evidence: Evidence) -> Finding:
    """Asked without the balancer in between: a stopping instance refuses connections, and
    answers what it took."""
    sentence = "The instance answers every request it took"
    bad = (a for a in evidence.direct if not a.ok and a.outcome not in ("connect", "refused"))
    return none_of(sentence, bad, len(evidence.direct))


def instance_refuses_nothing(evidence: Evidence) -> Finding:
    sentence = "The instance answers every request, without the balancer too"
    return none_of(sentence, (a for a in evidence.direct if not a.ok), len(evidence.direct))


def judge(evidence: Evidence, promises: Iterable[Promise]) -> list[Finding]:
    """Every drill's promises, this one's, and what it looked at by itself."""
    everyone = (nothing_lost, no_false_404, right_data, ids_unique)
    return [promise(evidence) for promise in (*promises, *everyone)] + evidence.checks
