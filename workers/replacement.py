"""Replacing living workers one at a time: start one, wait until it is ready, drain one. Pure.

Rolling restarts and recycling are the same thing here: a queue of workers to be replaced and at
most one replacement under way. A successor that does not get ready ends the queue and the old
workers stay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from .status import Reason


@dataclass(frozen=True)
class Candidate:
    """A worker to be replaced, by pid."""

    pid: int
    reason: Reason


class Replacements:
    """The queue, and who is being replaced by whom."""

    def __init__(self) -> None:
        self._queue: deque[Candidate] = deque()
        self._total = 0
        self.old: Candidate | None = None
        self.new: int | None = None

    @property
    def idle(self) -> bool:
        return self.old is None and not self._queue

    @property
    def left(self) -> int:
        return len(self._queue) + (self.old is not None)

    def ask(self, pids: Collection[int], reason: Reason) -> None:
        """Queue workers; one that is queued already is not queued twice."""
        queued = {candidate.pid for candidate in self._queue}
        if self.old is not None:
            queued.add(self.old.pid)
        self._queue.extend(Candidate(pid, reason) for pid in pids if pid not in queued)

    def next(self, living: Collection[int]) -> Candidate | None:
        """The worker whose successor must be started now, if any; tell `started` then."""
        if self.old is not None:
            return None
        while self._queue:
            candidate = self._queue.popleft()
            if candidate.pid in living:
                self.old = candidate
                return candidate
        return None

    def started(self, successor: int) -> None:
        self.new = successor

    def ready(self) -> Candidate | None:
        """The successor is ready. Returns who must drain now, None if it is gone already."""
        old, self.old, self.new = self.old, None, None
        return old

    def abort(self) -> None:
        """The successor did not get ready: nobody else is replaced."""
        self._queue.clear()
        self.old = self.new = None
