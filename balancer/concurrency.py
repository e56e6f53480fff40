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
(RFC 7661): a limit that was never needed would be no limit when the flood comes.

A backend that says nothing keeps the limit of the settings.
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_SECONDS = 0.3  # from one end to the other, well below what a request may take
LOOP_TARGET_SECONDS = 0.1  # in the backend's event loop, which a request goes through many times
PATIENCE = 10  # looks in a row above the target, a second: what a killed worker leaves is taken in
LEAST = 64  # an instance that has just lost workers, beside one that is out, needs so much room
BEGIN = 256  # of a backend that says how long work waits; 2,000 answers a second need 0.13 s
_STEEPEST = 0.3  # of the limit stays at least; what is told is a moment old
_GROWTH = 1 / 8  # a step; ten steps a second reach three times in a second
_FAST_GROWTH = 1 / 2  # while a slow dependency fills it: what comes in half a second fits


class ConcurrencyLimit:
    """The limit of one backend.

    Args:
        most: the limit while nothing is known against it, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._begin = min(BEGIN, most)
        self._limit = float(most)
        self._told = False
        self._waited = 0.0  # each as a multiple of its target
        self._reports = 0
        self._above = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

    @property
    def strained(self) -> bool:
        """It has more to do than it can, as far as it is known."""
        return self._above > 0 or self._limit < self._begin

    def reported(self, report: LoadReport, since_sent: float) -> None:
        """An answer said how it went; it was read `since_sent` seconds after the request went."""
        waited = report.queue_seconds / LOOP_TARGET_SECONDS
        if report.service_seconds is not None:
            waited = max(waited, (since_sent - report.service_seconds) / TARGET_SECONDS)
        self._waited += waited
        self._reports += 1

    def adjust(self, in_flight: int) -> int:
        """The limit from now on; called by the coarse timer.

        Args:
            in_flight: requests that the backend has now.
        """
        if self._reports and not self._told:
            self._told = True
            self._limit = float(max(self._begin, min(self._most, 2 * in_flight)))
        strain = self._waited / self._reports if self._reports else None
        self._waited, self._reports = 0.0, 0
        self._above = self._above + 1 if strain is not None and strain > 1 else 0
        if strain is not None and self._above >= PATIENCE:
            self._above = 0  # what this changes is seen only after such a time again
            share = max(_STEEPEST, 1 / strain)
            self._limit = max(self._least, min(self._limit, in_flight) * share)
        elif self._told:
            self._limit = self._rested(in_flight, strain)
        return self.limit

    def _rested(self, in_flight: int, strain: float | None) -> float:
        limit = self._limit
        if limit < self._begin:
            grows = strain is None or strain < 1 / 2
            return min(self._begin, limit + max(1.0, limit * _GROWTH)) if grows else limit
        if 2 * in_flight >= limit:
            if strain is None:  # no answer at all: a dependency, or all stands still
                return min(self._most, limit * (1 + _GROWTH))
            return min(self._most, limit * (1 + _FAST_GROWTH)) if strain < 1 / 4 else limit
        return max(self._begin, limit * (1 - _GROWTH)) if 4 * in_flight < limit else limit


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
