"""The page of shared memory on which workers say how they are and the parent reads it.

It lives in a memory file that has no place on a disk (nothing to wait for, nothing to clean up)
and is made before the first fork; `workers/attach.py` finds it from outside by the parent's
descriptor. One row of sixteen 64-bit integers per slot; each cell has one writer, and a store of
8 bytes is not torn.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from .settings import SLOTS

_CELLS = 16
PAGE_BYTES = (SLOTS + 1) * _CELLS * 8
# Cells of a worker's row.
_PID, _STATE, _BEAT, _STARTED, _IN_FLIGHT, _REQUESTS, _CONNECTIONS, _RSS, _CPU = range(9)
# Cells of row 0, which is the parent's own; but for _WANTED, which anybody may write.
_STOPPING, _WANTED, _POOL_STARTED, _NEXT_SPAWN = range(4)
_RESTARTS = 8  # and the cells after it, one per reason

Reason = Literal["crash", "hang", "reload", "recycle", "scale"]
REASONS: tuple[Reason, ...] = ("crash", "hang", "reload", "recycle", "scale")


class State(IntEnum):
    EMPTY = 0
    BOOT = 1
    READY = 2
    DRAINING = 3


@dataclass(frozen=True)
class WorkerStatus:
    """One living worker; times in nanoseconds of the monotonic clock, memory in bytes."""

    slot: int
    pid: int
    state: State
    beat_ns: int
    started_ns: int
    in_flight: int
    requests: int
    connections: int
    rss: int
    cpu_ns: int


class StatusPage:
    """Row 0 belongs to the parent, the rows after it to the workers by slot.

    Args:
        fd: a page made by another process; None makes a new one.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _new_file() if fd is None else fd
        self._cells = memoryview(mmap.mmap(self.fd, PAGE_BYTES)).cast("q")

    def row(self, slot: int) -> Row:
        start = (slot + 1) * _CELLS
        return Row(self._cells[start : start + _CELLS], slot)

    def workers(self) -> list[WorkerStatus]:
        """Every living worker, by slot."""
        used = (
            slot
            for slot in range(SLOTS)
            if self._cells[(slot + 1) * _CELLS + _STATE] != State.EMPTY
        )
        return [self.row(slot).read() for slot in used]

    def loads(self, *, beaten_since_ns: int) -> list[int]:
        """Open connections of each ready worker whose loop gave a sign since then."""
        cells = self._cells
        return [
            cells[start + _CONNECTIONS]
            for start in range(_CELLS, len(cells), _CELLS)
            if cells[start + _STATE] == State.READY and cells[start + _BEAT] >= beaten_since_ns
        ]

    @property
    def stopping(self) -> bool:
        """Whether the whole pool was told to stop."""
        return bool(self._cells[_STOPPING])

    def set_stopping(self) -> None:
        self._cells[_STOPPING] = 1

    @property
    def wanted(self) -> int:
        """How many workers the pool should have."""
        return self._cells[_WANTED]

    def set_wanted(self, workers: int) -> None:
        self._cells[_WANTED] = workers

    @property
    def pool_started(self) -> int:
        """Unix time, seconds."""
        return self._cells[_POOL_STARTED]

    def set_pool_started(self, seconds: int) -> None:
        self._cells[_POOL_STARTED] = seconds

    @property
    def next_spawn_ns(self) -> int:
        """Before then no worker is started in the place of one that crashed; monotonic."""
        return self._cells[_NEXT_SPAWN]

    def set_next_spawn(self, seconds: float) -> None:
        self._cells[_NEXT_SPAWN] = int(seconds * 1e9)

    def count_restart(self, reason: Reason) -> None:
        self._cells[_RESTARTS + REASONS.index(reason)] += 1

    def restarts(self) -> dict[str, int]:
        """Workers that ended or were replaced since the pool started, by reason."""
        return {
            reason: self._cells[_RESTARTS + position] for position, reason in enumerate(REASONS)
        }


class Row:
    """One worker's row. The worker writes it; the parent resets it before each fork."""

    __slots__ = ("_cells", "slot")

    def __init__(self, cells: memoryview[int], slot: int) -> None:
        self._cells = cells
        self.slot = slot

    def reset(self, state: State, now_ns: int) -> None:
        for cell in range(_CELLS):
            self._cells[cell] = 0
        self._cells[_BEAT] = self._cells[_STARTED] = now_ns
        self._cells[_STATE] = state

    def set_pid(self, pid: int) -> None:
        self._cells[_PID] = pid

    def set_state(self, state: State) -> None:
        self._cells[_STATE] = state

    def beat(self, now_ns: int, *, rss: int, cpu_ns: int) -> None:
        self._cells[_RSS] = rss
        self._cells[_CPU] = cpu_ns
        self._cells[_BEAT] = now_ns

    def request_started(self) -> None:
        self._cells[_IN_FLIGHT] += 1

    def request_finished(self) -> None:
        self._cells[_IN_FLIGHT] -= 1
        self._cells[_REQUESTS] += 1

    def connection_opened(self) -> None:
        self._cells[_CONNECTIONS] += 1

    def connection_closed(self) -> None:
        self._cells[_CONNECTIONS] -= 1

    @property
    def connections(self) -> int:
        return self._cells[_CONNECTIONS]

    def read(self) -> WorkerStatus:
        cells = self._cells
        return WorkerStatus(
            slot=self.slot,
            pid=cells[_PID],
            state=State(cells[_STATE]),
            beat_ns=cells[_BEAT],
            started_ns=cells[_STARTED],
            in_flight=cells[_IN_FLIGHT],
            requests=cells[_REQUESTS],
            connections=cells[_CONNECTIONS],
            rss=cells[_RSS],
            cpu_ns=cells[_CPU],
        )


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("workers")
    else:  # macOS: a file that is gone from the folder at once
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, PAGE_BYTES)
    return fd
