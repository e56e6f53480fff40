"""How many requests a backend may have at once, learnt from what it says of its load. Pure.

A backend that has more to do than its CPUs can do must not be given more: its queue would only
grow, until every answer is too late for whoever asked. How long answers take does not tell, as a
slow dependency makes them slow too, and refusing would not help then. So a backend says with each
answer how long work waits for the CPU (`Endpoint-Load-Metrics`), and that is held below a target;
queueing time as the sign of overload is DAGOR's (Zhou and others, SoCC 2018), that only a queue
which stands for a while counts is CoDel's (RFC 8289). The limit falls in proportion and grows in
small steps, as congestion windows do.

A backend that says nothing keeps the limit of the settings.
"""

from __future__ import annotations

TARGET_SECONDS = 0.1  # well below what a request may take; a worker that starts makes 0.05
PATIENCE = 5  # looks in a row above the target: a burst is taken in, only a standing queue is not
LEAST = 16  # a limit of 1 could not be filled: an answer and the next request take their way
_STEEPEST = 0.3  # of the limit stays at least; what is told is a moment old
_GROWTH = 1 / 8  # a step; ten steps a second reach eight times in two seconds


class ConcurrencyLimit:
    """The limit of one backend.

    Args:
        most: the limit while nothing is known against it, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._limit = float(most)
        self._seconds = 0.0
        self._reports = 0
        self._above = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

    def reported(self, queue_seconds: float) -> None:
        """An answer said how long work waits."""
        self._seconds += queue_seconds
        self._reports += 1

    def adjust(self, in_flight: int) -> int:
        """The limit from now on; called by the coarse timer.

        Args:
            in_flight: requests that the backend has now.
        """
        waits = self._seconds / self._reports if self._reports else 0.0
        self._seconds, self._reports = 0.0, 0
        self._above = self._above + 1 if waits > TARGET_SECONDS else 0
        if self._above >= PATIENCE:
            share = max(_STEEPEST, TARGET_SECONDS / waits)
            self._limit = max(self._least, min(self._limit, in_flight) * share)
        elif self._limit < self._most and not self._above:
            self._limit = min(self._most, self._limit + max(1.0, self._limit * _GROWTH))
        return self.limit


def queue_seconds(value: bytes) -> float | None:
    """What `Endpoint-Load-Metrics: TEXT named_metrics.queue_seconds=0.012` says; None: nothing.

    Other metrics may stand beside it, separated by commas.
    """
    form, _, metrics = value.partition(b" ")
    if form != b"TEXT":
        return None
    for metric in metrics.split(b","):
        name, _, number = metric.strip().partition(b"=")
        if name == b"named_metrics.queue_seconds":
            try:
                seconds = float(number)
            except ValueError:
                return None
            return seconds if 0 <= seconds < 3600 else None
    return None
