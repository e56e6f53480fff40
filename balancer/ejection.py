"""When requests themselves show that a backend is ill: it is ejected for some seconds. Pure.

Between NGINX, where one failure takes a server out for 10 s, and Envoy, which with two servers
ejects none: 5 failures in a row, or half of at least 20 in 10 s. The n-th ejection lasts n times
as long, up to a cap; each ten good seconds make n smaller by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .recent import RecentCounts

if TYPE_CHECKING:
    from .backends import Backend

WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class EjectionRules:
    """When a backend is ejected and for how long; seconds."""

    in_a_row: int = 5  # 0: never
    ratio: float = 0.5  # of the window's requests
    at_least: int = 20  # requests in the window, or the ratio says nothing
    out_seconds: float = 5.0
    longest: float = 60.0


class Outlier:
    """What requests say of one backend.

    A client that went away says nothing: neither `passed` nor `failed` is called for it.
    """

    __slots__ = ("_good_since", "_in_a_row", "_recent", "_rules", "_times", "_until")

    def __init__(self, rules: EjectionRules = EjectionRules()) -> None:
        self._rules = rules
        self._recent = RecentCounts(WINDOW_SECONDS)
        self._in_a_row = 0
        self._times = 0
        self._until = 0.0
        self._good_since = 0.0

    def passed(self) -> None:
        self._in_a_row = 0
        self._recent.good += 1

    def failed(self, now: float) -> bool:
        """Whether the backend deserves to be ejected now."""
        rules = self._rules
        if not rules.in_a_row:
            return False
        self._recent.advance(now)
        self._in_a_row += 1
        self._recent.bad += 1
        good, bad = self._recent.recent()
        often = good + bad >= rules.at_least and bad >= rules.ratio * (good + bad)
        return often or self._in_a_row >= rules.in_a_row

    def eject(self, now: float) -> float:
        """Out from now on; returns for how many seconds."""
        rules = self._rules
        self._times += 1
        seconds = min(rules.longest, rules.out_seconds * self._times)
        if seconds == rules.longest:
            self._times = max(1, int(rules.longest / rules.out_seconds))  # or it never shrinks
        self._until = now + seconds
        return seconds

    def seconds_left(self, now: float) -> float:
        return max(0.0, self._until - now)

    def advance(self, now: float) -> bool:
        """Let time pass. Whether an ejection is over just now."""
        self._recent.advance(now)
        if self._until:
            if now < self._until:
                return False
            self._until = 0.0
            self._in_a_row = 0
            self._recent.forget()
            self._good_since = now
            return True
        if self._times and now - self._good_since >= WINDOW_SECONDS:
            self._times -= 1
            self._good_since = now
        return False


def may_eject(backend: Backend, backends: Iterable[Backend]) -> bool:
    """Never the last one: another must be there that requests can go to instead."""
    return any(
        other.in_service and not other.draining for other in backends if other is not backend
    )
