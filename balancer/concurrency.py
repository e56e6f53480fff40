"""How many requests a backend may have at once, learnt from how long work waits. Pure.

A backend that has more to do than its CPUs can do must not be given more: its queue would only
grow, until every answer is too late for whoever asked. How long answers take does not tell, as a
slow dependency makes them slow too, and refusing would not help then. So a backend says with each
answer how long it worked on it, its waiting for others included (`Endpoint-Load-Metrics`); the
rest of the time, between sending the request and reading the answer, somebody waited for a CPU:
in a socket's queue, in the backend's event loop or in ours. That is held below a target. Queueing
time as the sign of overload is DAGOR's (Zhou and others, SoCC 2018), that only a queue which
stands for a while counts is CoDel's (RFC 8289). The limit falls in proportion. It grows beyond
where it begins only while it is used and next to nothing waits, as a congestion window does
(RFC 7661): a limit that was never needed would be no limit when the flood comes. While far more
requests come than before (`rush`) it does not grow, and is cut without patience.

A backend that says nothing keeps the limit of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

TARGET_SECONDS = 0.06  # from one end to the other, well below what a request may take
LOOP_TARGET_SECONDS = 0.012  # in the backend's event loop, which a request goes through many times
PATIENCE_SECONDS = 6.0  # above the target before the first cut: instances restart meanwhile
LEAST = 24  # more than the work of an instance that is starved of CPUs gets done in a target
BEGIN = 112  # of a backend that says how long work waits: at 1,000 answers a second 0.11 s of them
_STEEPEST = 0.3  # of the limit stays at least; what is told is a moment old
_FELT_AFTER = 0.2  # seconds in which more requests are felt, if they are too many
_RECOVERY = 1 / 16  # a look, back to where it began: the flood may go on
_SHRINKING = 1 / 8  # a look, back to where it began
_GROWTH = 1.0  # a step, while a slow dependency fills it
_WEIGHT = 0.4  # of the last look
_SILENCE = 0.5  # seconds without any answer after which a dependency is thought to hang


class ConcurrencyLimit:
    """The limit of one backend.

    Nothing changes before the last change can be felt: the limit grows after it was used for a
    while, and falls only by what requests tell that were sent after it fell last.

    Args:
        most: the limit while nothing is known against it, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._begin = float(min(BEGIN, most))
        self._limit = float(most)
        self._told = False
        self._strain = _Mean()
        self._strain_since_cut = _Mean()
        self._lately = 0.0  # of the last few looks
        self._above_since: float | None = None
        self._used_since = self._cut_at = self._heard_at = -inf

    @property
    def limit(self) -> int:
        return int(self._limit)

    def strained(self, in_flight: int, now: float) -> bool:
        """It has more to do than it can, as far as it is known: long queues, or so many requests
        that what is late says nothing as long as others are answered."""
        full = 2 * in_flight >= self._limit and now - self._heard_at < _SILENCE
        return full or self._above_since is not None or self._limit < self._begin

    def reported(self, report: LoadReport, sent: float, read: float) -> None:
        """An answer said how it went; when its request was sent and it was read, in seconds."""
        self._heard_at = read
        waited = report.queue_seconds / LOOP_TARGET_SECONDS
        if report.service_seconds is not None:
            waited = max(waited, (read - sent - report.service_seconds) / TARGET_SECONDS)
        self._strain.add(waited)
        if sent >= self._cut_at:
            self._strain_since_cut.add(waited)

    def adjust(
        self, in_flight: int, now: float, *, rush: bool = False, stands_for: float = 1.0
    ) -> int:
        """The limit from now on; called by the coarse timer.

        Args:
            in_flight: requests that the backend has now.
            rush: far more requests come than before.
            stands_for: how many backends' work comes to it, at least 1.0.
        """
        self._stand_for(stands_for)
        patience, weight = (0.0, 1.0) if rush else (PATIENCE_SECONDS, _WEIGHT)
        strain, since_cut = self._strain.take(), self._strain_since_cut.take()
        if strain is not None and not self._told:
            self._told = True
            self._limit = max(self._begin, min(self._most, 2.0 * in_flight))
        if strain is not None:
            # Capped, so that one bad look is forgotten with the next two good ones.
            self._lately += weight * (min(strain, 2.0) - self._lately)
            if self._lately <= 1:
                self._above_since = None
            elif self._above_since is None:
                self._above_since = now
        if self._above_since is not None:
            if since_cut is not None and now - self._above_since >= patience:
                share = min(1.0, max(_STEEPEST, 1 / max(since_cut, 0.01)))
                self._limit = max(self._least, min(self._limit, in_flight) * share)
                self._cut_at = now
        elif self._told:
            limit = self._rested(in_flight, strain, now, rush)
            if limit > self._limit:
                self._used_since = now
            self._limit = limit
        return self.limit

    def _stand_for(self, backends: float) -> None:
        """Where the others are away their room is here: a moment's queue is as much longer."""
        begin = min(BEGIN * backends, self._most)
        if self._begin <= self._limit < begin and self._above_since is None:
            self._limit = begin
        self._begin = begin

    def _rested(self, in_flight: int, strain: float | None, now: float, rush: bool) -> float:
        limit = self._limit
        if limit < self._begin:
            grows = now - self._heard_at > _SILENCE if strain is None else strain < 1 / 2
            return min(self._begin, limit + max(1.0, limit * _RECOVERY)) if grows else limit
        if 4 * in_flight >= limit:
            return self._grown(strain, now, rush)
        self._used_since = now
        return max(self._begin, limit * (1 - _SHRINKING))

    def _grown(self, strain: float | None, now: float, rush: bool) -> float:
        """While so much is used: a slow dependency, or the beginning of a flood."""
        if rush or now - self._used_since < _FELT_AFTER:
            return self._limit
        # No answer at all: it waits for a dependency, or stands still.
        grows = now - self._heard_at > _SILENCE if strain is None else strain < 1 / 2
        return min(self._most, self._limit * (1 + _GROWTH)) if grows else self._limit


class _Mean:
    """Of what was added since it was taken last."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        self._sum += value
        self._count += 1

    def take(self) -> float | None:
        mean = self._sum / self._count if self._count else None
        self._sum, self._count = 0.0, 0
        return mean


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What an answer says of its backend's load.

    Attributes:
        queue_seconds: how long what can run waits until it does.
        service_seconds: from when the backend began with this request until its answer was made.
    """

    queue_seconds: float
    service_seconds: float | None = None


def load_report(value: bytes) -> LoadReport | None:
    """What `Endpoint-Load-Metrics: TEXT named_metrics.queue_seconds=0.012,
    named_metrics.service_seconds=0.034` says, the second of them if it is there; None: nothing.

    Other metrics may stand beside them, separated by commas.
    """
    form, _, metrics = value.partition(b" ")
    if form != b"TEXT":
        return None
    queue = service = None
    for metric in metrics.split(b","):
        name, _, number = metric.strip().partition(b"=")
        if name == b"named_metrics.queue_seconds":
            queue = _seconds(number)
        elif name == b"named_metrics.service_seconds":
            service = _seconds(number)
    return None if queue is None else LoadReport(queue, service)


def _seconds(number: bytes) -> float | None:
    try:
        seconds = float(number)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 3600 else None
