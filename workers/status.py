"""The page of shared memory on which workers say how they are and the parent reads it.

Anonymous, made before the first fork, so there is no file to write, lose or clean up. One row of
eight 64-bit integers per slot; each cell has one writer, and a store of 8 bytes is not torn.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from enum import IntEnum

_CELLS = 8
_PID, _STATE, _BEAT, _STARTED, _IN_FLIGHT, _REQUESTS = range(6)
_STOPPING, _CRASHES, _HANGS = range(3)  # cells of row 0, which is the parent's own


class State(IntEnum):
    EMPTY = 0
    BOOT = 1
    READY = 2
    DRAINING = 3


@dataclass(frozen=True)
class WorkerStatus:
    """One living worker; times in nanoseconds of the monotonic clock."""

    slot: int
    pid: int
    state: State
    beat_ns: int
    started_ns: int
    in_flight: int
    requests: int


class StatusPage:
    """Rows 1..slots belong to the workers, row 0 to the parent."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._cells = memoryview(mmap.mmap(-1, (slots + 1) * _CELLS * 8)).cast("q")

    def row(self, slot: int) -> Row:
        start = (slot + 1) * _CELLS
        return Row(self._cells[start : start + _CELLS], slot)

    def workers(self) -> list[WorkerStatus]:
        statuses = (self.row(slot).read() for slot in range(self.slots))
        return [status for status in statuses if status.state is not State.EMPTY]

    @property
    def stopping(self) -> bool:
        """Whether the whole pool was told to stop."""
        return bool(self._cells[_STOPPING])

    def set_stopping(self) -> None:
        self._cells[_STOPPING] = 1

    def count_restart(self, *, hung: bool) -> None:
        self._cells[_HANGS if hung else _CRASHES] += 1

    def restarts(self) -> dict[str, int]:
        """Workers that ended unasked since the pool started, by reason."""
        return {"crash": self._cells[_CRASHES], "hang": self._cells[_HANGS]}


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

    def beat(self, now_ns: int) -> None:
        self._cells[_BEAT] = now_ns

    def request_started(self) -> None:
        self._cells[_IN_FLIGHT] += 1

    def request_finished(self) -> None:
        self._cells[_IN_FLIGHT] -= 1
        self._cells[_REQUESTS] += 1

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
        )
