"""What a policy comes to, calculated: the arithmetic behind `python -m app explain`. Pure.

An attempt succeeds, fails or stays silent, each with its probability, independent of the others.
States are (retries made, hedges made, whether an attempt is still silent); from each the next
attempt leads on, and the probability of every state at every time (in steps of `STEP`) is added
up in the order of attempts made. Back-offs count with their mean. Silence lasts until the deadline.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import comb

from .call import PROBE_EXTRAS, CallPolicy
from .deadline import ATTEMPT_FLOOR

STEP = 0.001  # seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """How single attempts end; shares add up to 1, seconds are typical ones."""

    ok: float
    failed: float
    silent: float
    ok_seconds: float = 0.002
    failed_seconds: float = 0.001


@dataclass(frozen=True, slots=True)
class Expectation:
    """`attempts` per call; seconds; shares."""

    fallbacks: float
    mean: float
    p99: float
    attempts: float
    false_trip: float  # chance that healthy operation looks like an outage, for 20 calls in a row
    attempts_in_outage: float  # per call, before the breaker opens
    probes_a_second: float  # calls of the whole box while it is open for long
    probe_attempts_a_second: float


_State = tuple[int, int, bool]
_Times = dict[int, float]  # step -> probability


def expect(policy: CallPolicy, rates: Rates, delay: float) -> Expectation:
    """Args: delay: seconds of silence before a hedge."""
    ends, fallbacks, attempts = _walk(policy, rates, delay)
    mean = sum(step * share for step, share in ends.items()) * STEP
    left, p99 = 0.99, 0
    for step in sorted(ends):
        left -= ends[step]
        p99 = step
        if left <= 0:
            break
    breaker = policy.breaker
    between = 0.875 * breaker.open_cap if breaker else 0.0
    probes = 1 / between if between else 0.0
    in_outage = min(1 + policy.retry.retries, 1 + policy.budget.ratio + policy.budget.per_second)
    return Expectation(
        fallbacks=fallbacks,
        mean=mean,
        p99=p99 * STEP,
        attempts=attempts,
        false_trip=_false_trip(policy, fallbacks),
        attempts_in_outage=in_outage if policy.budget.enabled else 1.0 + policy.retry.retries,
        probes_a_second=probes,
        probe_attempts_a_second=probes * (1 + min(PROBE_EXTRAS, policy.retry.retries)),
    )


def _walk(policy: CallPolicy, rates: Rates, delay: float) -> tuple[_Times, float, float]:
    """When calls end, the share of fallbacks, attempts per call."""
    deadline = _steps(policy.deadline)
    last = deadline - _steps(ATTEMPT_FLOOR)
    ends: _Times = defaultdict(float)
    fallbacks = attempts = 0.0
    retries, hedges = policy.retry.retries, policy.hedge.hedges
    waiting: dict[_State, _Times] = defaultdict(lambda: defaultdict(float))
    waiting[(0, 0, False)][0] = 1.0

    def give_up(at: int, share: float) -> None:
        nonlocal fallbacks
        fallbacks += share
        ends[min(at, deadline)] += share

    def go_on(state: _State, at: int, share: float, otherwise: int) -> None:
        if at > last:
            give_up(otherwise, share)
        else:
            waiting[state][at] += share

    states = sorted(
        ((r, h, s) for r in range(retries + 1) for h in range(hedges + 1) for s in (False, True)),
        key=lambda state: (state[0] + state[1], state[2]),
    )
    for retried, hedged, silent in states:
        for at, share in waiting.pop((retried, hedged, silent), {}).items():
            attempts += share
            ends[min(at + _steps(rates.ok_seconds), deadline)] += share * rates.ok
            failed, end = share * rates.failed, at + _steps(rates.failed_seconds)
            if retried < retries:
                backoff = policy.retry.backoff
                pause = backoff.seconds(retried, lambda: 0.5)
                again = end + _steps(pause)
                go_on((retried + 1, hedged, silent), again, failed, deadline if silent else end)
            elif silent and hedged < hedges:
                go_on((retried, hedged + 1, silent), at + _steps(delay), failed, deadline)
            else:
                give_up(deadline if silent else end, failed)
            quiet = share * rates.silent
            if hedged < hedges:
                go_on((retried, hedged + 1, True), at + _steps(delay), quiet, deadline)
            else:
                give_up(deadline, quiet)
    return ends, fallbacks, attempts


def _false_trip(policy: CallPolicy, fallbacks: float) -> float:
    """P(at least `ratio` of `calls` fail), or `streak` in a row do."""
    if policy.breaker is None:
        return 0.0
    calls = policy.breaker.calls
    least = -(-policy.breaker.ratio * calls // 1)
    tail = sum(
        comb(calls, bad) * fallbacks**bad * (1 - fallbacks) ** (calls - bad)
        for bad in range(int(least), calls + 1)
    )
    return min(1.0, tail + fallbacks**policy.breaker.streak)


def _steps(seconds: float) -> int:
    return round(seconds / STEP)
