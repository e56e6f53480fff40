"""When nobody is asked, because asking has not helped lately. Pure: states in, states out.

    closed ──(≥ 50 % of ≥ 20 calls in 10 s failed, or 20 in a row)──▶ open
    open ──(its time is over)──▶ half open ──(2 of 3 probes failed, or the first one)──▶ open
    half open ──(2 of 3 probes succeeded)──▶ ramping ──(0.5 s later)──▶ closed

Calls are *logical* calls, each with its retries and hedges: single attempts at the stock rates
fail half the time, and a breaker that counted them would be open most of the time.

Sources: M. Nygard, "Release It!" (2nd ed., 2018), chapter 5; the window and its minimum of calls
as in resilience4j's CircuitBreaker; time open = `rand(3/4, 1) * min(cap, base * 2^k)`, after
"Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). With the cap of 0.75 s no second
sees more than two probes, as long as they fail, and a service that is back is found in 0.75 s.

A probe is a lease: who dies with it blocks nobody for longer than `lease`. A result counts only
in the epoch it was asked in, so what was begun before the breaker opened cannot open it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from .outcome import Verdict

PROBES = 3
_NO_LEASES = (0.0,) * PROBES


class Phase(IntEnum):
    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2
    RAMPING = 3


class Permit(NamedTuple):
    """Leave to make one call; `probe` is the number of its lease, -1 for an ordinary call."""

    epoch: int
    probe: int = -1


@dataclass(frozen=True, slots=True)
class BreakerState:
    """All there is to know, in numbers, so that it fits into shared memory. Times are on the
    clock whose readings are passed as `now`."""

    phase: Phase = Phase.CLOSED
    epoch: int = 0  # grows with every opening and closing
    since: float = 0.0  # when the phase began
    until: float = 0.0  # open: when a probe may be made
    openings: int = 0  # since it was last closed
    streak: int = 0  # closed: calls failed in a row
    successes: int = 0  # half open: probes
    failures: int = 0
    leases: tuple[float, ...] = _NO_LEASES  # half open: when each ends, 0 = free


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Seconds; `ratio` of failures among at least `calls` in `window`, or `streak` in a row.

    A box that asks twice a second harms nobody, and who starts the service again expects real data
    within 2 s, of which the start itself takes up to one.
    """

    ratio: float = 0.5
    calls: int = 20
    streak: int = 20
    window: float = 10.0
    open_base: float = 0.5
    open_cap: float = 0.75
    probe_timeout: float = 1.0
    ramp: float = 0.5

    @property
    def lease(self) -> float:
        """A probe ends by itself before its lease does, unless its worker has died."""
        return self.probe_timeout + 0.5

    def admit(
        self, state: BreakerState, now: float, random: Callable[[], float]
    ) -> tuple[BreakerState, Permit | None]:
        """The state afterwards, and a permit or None: answer without asking."""
        state = self._in_time(state, now)
        if state.phase is Phase.CLOSED:
            return state, Permit(state.epoch)
        if state.phase is Phase.RAMPING:
            share = max(0.5, (now - state.since) / self.ramp)
            return state, Permit(state.epoch) if random() < share else None
        if state.phase is Phase.OPEN:
            return state, None
        return self._lease(state, now)

    def ended(
        self,
        state: BreakerState,
        permit: Permit,
        verdict: Verdict,
        counted: Callable[[float], tuple[float, float]],
        now: float,
        random: Callable[[], float],
    ) -> BreakerState:
        """The state after a call has ended.

        `counted(since)` gives successes and failures in the window, none from before `since`; it
        is asked only when that matters.
        """
        if permit.epoch != state.epoch:
            return state
        if permit.probe >= 0:
            return self._probe_ended(state, permit.probe, verdict, now, random)
        if verdict is Verdict.IGNORED or state.phase not in (Phase.CLOSED, Phase.RAMPING):
            return state
        if verdict is Verdict.SUCCESS:
            return replace(state, streak=0) if state.streak else state
        state = replace(state, streak=state.streak + 1)
        good, bad = counted(state.since)
        over_ratio = good + bad >= self.calls and bad >= self.ratio * (good + bad)
        if state.streak >= self.streak or over_ratio:
            return self._open(state, now, random)
        return state

    def _in_time(self, state: BreakerState, now: float) -> BreakerState:
        """What the passing of time alone has done."""
        # A clock that began anew (the machine did) must not keep it open for days.
        restarted = state.since > now or state.until > now + self.open_cap
        if state.phase is Phase.OPEN and (now >= state.until or restarted):
            return replace(
                state, phase=Phase.HALF_OPEN, since=now, successes=0, failures=0, leases=_NO_LEASES
            )
        if state.phase is Phase.RAMPING and (now - state.since >= self.ramp or restarted):
            return replace(state, phase=Phase.CLOSED, openings=0)
        return state

    def _lease(self, state: BreakerState, now: float) -> tuple[BreakerState, Permit | None]:
        busy = [lease for lease in state.leases if now < lease <= now + self.lease]
        # The first goes alone: as long as nothing is known, one call is harm enough.
        room = 1 if not state.successes else PROBES - state.successes - state.failures
        if len(busy) >= room:
            return state, None
        number = next(
            n for n, lease in enumerate(state.leases) if not now < lease <= now + self.lease
        )
        return self._with_lease(state, number, now + self.lease), Permit(state.epoch, number)

    def _probe_ended(
        self,
        state: BreakerState,
        number: int,
        verdict: Verdict,
        now: float,
        random: Callable[[], float],
    ) -> BreakerState:
        if state.phase is not Phase.HALF_OPEN:
            return state
        state = self._with_lease(state, number, 0.0)
        if verdict is Verdict.IGNORED:
            return state
        good = state.successes + (verdict is Verdict.SUCCESS)
        bad = state.failures + (verdict is Verdict.FAILURE)
        if good == 0 or bad > PROBES // 2:
            # A probe that hung has been time enough: the next may follow at once.
            return self._open(state, now, random, begun=state.since)
        if good > PROBES // 2:
            return BreakerState(
                Phase.RAMPING, epoch=state.epoch + 1, since=now, openings=state.openings
            )
        return replace(state, successes=good, failures=bad)

    def _open(
        self,
        state: BreakerState,
        now: float,
        random: Callable[[], float],
        begun: float | None = None,
    ) -> BreakerState:
        longest = min(self.open_cap, self.open_base * 2.0 ** min(state.openings, 64))
        return BreakerState(
            Phase.OPEN,
            epoch=state.epoch + 1,
            since=now,
            until=max(now, (now if begun is None else begun) + longest * (0.75 + 0.25 * random())),
            openings=state.openings + 1,
        )

    @staticmethod
    def _with_lease(state: BreakerState, number: int, end: float) -> BreakerState:
        leases = list(state.leases)
        leases[number] = end
        return replace(state, leases=tuple(leases))
