"""How much of the machine was taken by programs that have nothing to do with the drill. Edge.

A promise about time that is broken while somebody else compiles a kernel says little about the
product, and the reader has to know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psutil


class Contention:
    """Watches from when it is made; `own` gives the processes that belong to the drill.

    What ended processes used is known through those that waited for them; workers whose parent
    was killed too are missed, and count as others.
    """

    def __init__(self, own: Callable[[], Iterable[psutil.Process]]) -> None:
        self._own = own
        self._began = time.monotonic()
        self._all_before = _all_used()
        self._own_before = _used(own())

    def share(self) -> float:
        """Of all CPUs, 0 to 1, used by others since the beginning."""
        seconds = (time.monotonic() - self._began) * (psutil.cpu_count() or 1)
        others = (_all_used() - self._all_before) - (_used(self._own()) - self._own_before)
        return min(1.0, max(0.0, others / seconds))


def tree(*pids: int) -> list[psutil.Process]:
    """The processes and all that come from them, as of now."""
    found: list[psutil.Process] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
        except psutil.Error:
            continue
    return found


def _used(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of the processes and of those they have waited for."""
    total = 0.0
    for process in processes:
        try:
            total += sum(process.cpu_times()[:4])  # user, system, and the same of children
        except psutil.Error:
            continue
    return total


def _all_used() -> float:
    """CPU seconds of the whole machine, what its host took away included."""
    times: dict[str, float] = psutil.cpu_times()._asdict()
    return sum(used for name, used in times.items() if name not in _NOT_USED)


_NOT_USED = {"idle", "iowait", "guest", "guest_nice"}  # guests are in user already
