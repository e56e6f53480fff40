"""What all workers of a box know together: breaker, budget and latencies, in shared memory.

Layout, in words of 8 bytes, float64 unless said otherwise::

    0       header, 8 words, of whoever maps the memory
    8       which of the two breaker records holds (int64); then 7 unused words
    16, 32  the breaker records, 16 words each
    48      rows: 2 words of owner (process id, when it started), then
            16 x 6   by second: its number, calls that succeeded, that failed, calls, extras, unused
            8 x 45   by ten seconds: their number, then successes by how long they took

A row has one writer, so counting needs no lock, and a worker that dies at any instruction loses
nothing it had counted. The breaker's record is never changed in place: a change writes the other
record and then, by one store, says that it holds; who dies in between has changed nothing. Only
changes take the lock, and they are rare; who does not get it at once goes on without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from . import latency
from .breaker import PROBES, BreakerState, Phase

T = TypeVar("T")

VERSION = 1
ROWS = 128
_HOLDS = 8
_RECORDS = (16, 32)
FIRST_ROW = 48
OWNER_WORDS = 2
_SECONDS, _SECOND_WORDS = 16, 6
_TENS, _TEN_WORDS = 8, 1 + latency.BUCKETS
_SECONDS_AT = OWNER_WORDS
_TENS_AT = _SECONDS_AT + _SECONDS * _SECOND_WORDS
ROW_WORDS = _TENS_AT + _TENS * _TEN_WORDS
WORDS = FIRST_ROW + ROWS * ROW_WORDS
GOOD, BAD, CALLS, EXTRAS = 1, 2, 3, 4

_FRESH = 0.1  # seconds for which what the other workers spent is not read again
_P95_FRESH = 1.0
_P95_TENS = 6  # a minute
_P95_NEWEST = 2  # 10 to 20 seconds


class Board:
    """One worker's view.

    Args:
        memory: `WORDS` words, writable; zeros when new.
        row: the row this worker counts in, which nobody else does.
        lock: a context that holds the lock, or yields False when somebody else has it.
    """

    def __init__(
        self,
        memory: memoryview | None = None,
        row: int = 0,
        lock: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(True),
    ) -> None:
        whole = memoryview(bytearray(WORDS * 8)) if memory is None else memory
        self._words = whole.cast("d")
        self._ints = whole.cast("q")
        self._lock = lock
        self._row = FIRST_ROW + row * ROW_WORDS
        self._second = -1
        self._at = self._row + _SECONDS_AT
        self._spent = (0.0, 0.0)
        self._spent_until = 0.0
        self._p95: float | None = None
        self._p95_until = float("-inf")

    # The breaker's record

    def phase(self) -> int:
        """Cheap: what the hot path asks first."""
        return int(self._words[_RECORDS[self._ints[_HOLDS] & 1]])

    def streak(self) -> float:
        return self._words[_RECORDS[self._ints[_HOLDS] & 1] + 5]

    def epoch(self) -> int:
        return int(self._words[_RECORDS[self._ints[_HOLDS] & 1] + 1])

    def breaker(self) -> BreakerState:
        """The state. A record that makes no sense counts as a breaker that is closed."""
        for _ in range(3):
            holds = self._ints[_HOLDS]
            at = _RECORDS[holds & 1]
            words = self._words[at : at + 8 + PROBES].tolist()
            if self._ints[_HOLDS] == holds:
                break
        try:
            phase, epoch, since, until, openings, streak, good, bad, *leases = words
            return BreakerState(
                Phase(int(phase)), int(epoch), since, until, int(openings), int(streak),
                int(good), int(bad), tuple(leases),
            )  # fmt: skip
        except (ValueError, OverflowError):
            return BreakerState()

    def change(self, how: Callable[[BreakerState], tuple[BreakerState, T]], otherwise: T) -> T:
        """Replace the state by what `how` makes of it, and give what else it returns; or
        `otherwise`, when another worker is changing it at this moment."""
        with self._lock() as held:
            if not held:
                return otherwise
            old = self.breaker()
            new, result = how(old)
            if new != old:
                self._write(new)
            return result

    def _write(self, state: BreakerState) -> None:
        holds = self._ints[_HOLDS]
        at = _RECORDS[(holds + 1) & 1]
        words = (state.phase, state.epoch, state.since, state.until, state.openings,
                 state.streak, state.successes, state.failures, *state.leases)  # fmt: skip
        for offset, word in enumerate(words):
            self._words[at + offset] = float(word)
        self._ints[_HOLDS] = holds + 1

    # Counts of the last seconds

    def count(self, what: int, now: float) -> None:
        """`what` is GOOD, BAD, CALLS or EXTRAS."""
        if int(now) != self._second:
            self._turn(int(now))
        self._words[self._at + what] += 1.0

    def _turn(self, second: int) -> None:
        words = self._words
        self._at = at = self._row + _SECONDS_AT + second % _SECONDS * _SECOND_WORDS
        if words[at] != second:
            words[at] = -1.0  # not valid while it is emptied
            for what in (GOOD, BAD, CALLS, EXTRAS):
                words[at + what] = 0.0
            words[at] = float(second)
        self._second = second

    def counted(self, first: int, second: int, seconds: float, now: float) -> tuple[float, float]:
        """Two counts over the last seconds, of all workers."""
        earliest = max(now - seconds, now - _SECONDS + 1)
        one = other = 0.0
        words = self._words
        for row in self._used():
            for at in range(row + _SECONDS_AT, row + _TENS_AT, _SECOND_WORDS):
                if earliest < words[at] <= now:
                    one += words[at + first]
                    other += words[at + second]
        return one, other

    def spent(self, window: float, now: float) -> tuple[float, float]:
        """Calls and extras in the window, and since the breaker last changed; those of other
        workers up to 0.1 s late."""
        if not 0 <= self._spent_until - now <= _FRESH:
            since = self._words[_RECORDS[self._ints[_HOLDS] & 1] + 2]
            recent = min(window, now - since) if since <= now else window
            self._spent = self.counted(CALLS, EXTRAS, recent, now)
            self._spent_until = now + _FRESH
        return self._spent

    def note_extra(self, now: float) -> None:
        """A retry or a hedge is made."""
        self.count(EXTRAS, now)
        self._spent = (self._spent[0], self._spent[1] + 1)

    # How long successes take

    def took(self, seconds: float, now: float) -> None:
        """A success took so long."""
        ten = int(now) // 10
        words = self._words
        at = self._row + _TENS_AT + ten % _TENS * _TEN_WORDS
        if words[at] != ten:
            words[at] = -1.0
            for offset in range(1, _TEN_WORDS):
                words[at + offset] = 0.0
            words[at] = float(ten)
        words[at + 1 + latency.bucket(seconds)] += 1.0

    def p95(self, now: float) -> float | None:
        """Of the last minute's successes of all workers, or of the last 10 to 20 seconds' if they
        were faster: who was slow for a while is slow in the minute long after it is over. Up to
        1 s late; None: not known."""
        if not 0 <= self._p95_until - now <= _P95_FRESH:
            spans = (self.latencies(now, tens) for tens in (_P95_TENS, _P95_NEWEST))
            known = [p95 for span in spans if (p95 := latency.quantile(span, 0.95)) is not None]
            self._p95 = min(known, default=None)
            self._p95_until = now + _P95_FRESH
        return self._p95

    def latencies(self, now: float, tens: int = _P95_TENS) -> list[float]:
        """Successes by bucket of `latency`, of this ten of seconds and those before it."""
        ten = int(now) // 10
        counts = [0.0] * latency.BUCKETS
        for row in self._used():
            for at in range(row + _TENS_AT, row + ROW_WORDS, _TEN_WORDS):
                if ten - tens < self._words[at] <= ten:
                    more = self._words[at + 1 : at + _TEN_WORDS].tolist()
                    counts = [a + b for a, b in zip(counts, more, strict=True)]
        return counts

    def _used(self) -> list[int]:
        """Where the rows begin that anybody has ever counted in."""
        words, ours = self._words, self._row
        rows = range(FIRST_ROW, FIRST_ROW + ROWS * ROW_WORDS, ROW_WORDS)
        return [row for row in rows if row == ours or words[row]]
