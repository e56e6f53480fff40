"""The file in which all workers of all instances on a box share what they know of the upstream.

A fresh one is made when it is missing, or of another layout or version; nothing is lost by that
but a minute's knowledge. Its layout: `app/resilience/board.py`.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from monitoring.shared_file import open_shared

from .resilience import Board
from .resilience.board import FIRST_ROW, ROW_WORDS, ROWS, VERSION, WORDS

_HEADER = struct.pack("=8sIII", b"upstream", VERSION, ROWS, ROW_WORDS)
_ENDED = -1  # a row that counted, and may be taken over
_PATIENCE = 1.0  # seconds to wait for the lock when a row is taken

logger = logging.getLogger(__name__)


class SharedBoard:
    """A mapping of the file, and a row of its own in it. Raises OSError when it cannot be had.

    Args:
        claim: False to read only: the row is nobody's.
    """

    def __init__(self, path: Path, *, claim: bool = True) -> None:
        size = WORDS * 8
        self._fd = open_shared(path, _HEADER, size)
        # Opened by this process alone: the lock belongs to the descriptor, and dies with it.
        self._memory = memoryview(mmap.mmap(self._fd, size))
        self._owners = self._memory.cast("q")
        self._row = self._claim() if claim else None
        if claim and self._row is None:
            logger.warning("no row left in %s: this worker knows the upstream alone", path)
        own = claim and self._row is None
        self.board = Board(None if own else self._memory, self._row or 0, self.lock)

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether the lock is held; nobody waits for it, its holder may be frozen."""
        held = self._try_lock()
        try:
            yield held
        finally:
            if held:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """The row is free for a successor, its counts stay."""
        if self._row is not None:
            self._owners[_owner_at(self._row)] = _ENDED
            self._row = None
        if self._fd >= 0:
            os.close(self._fd)  # the mapping stays until nobody uses it
            self._fd = -1

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _claim(self) -> int | None:
        end = time.monotonic() + _PATIENCE
        while not self._try_lock():
            if time.monotonic() > end:
                return None
            time.sleep(0.01)
        try:
            started = self._memory.cast("d")
            for row in range(ROWS):
                at = _owner_at(row)
                if not _alive(self._owners[at], started[at + 1]):
                    started[at + 1] = _start_of(os.getpid())
                    self._owners[at] = os.getpid()
                    return row
            return None
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)


def _owner_at(row: int) -> int:
    return FIRST_ROW + row * ROW_WORDS


def _alive(pid: int, started: float) -> bool:
    return pid > 0 and started == _start_of(pid)


def _start_of(pid: int) -> float:
    """When the process started, 0 for none; a pid alone is given away again."""
    try:
        # Since boot on Linux, where wall-clock times shift when the clock is set.
        boot = psutil.boot_time() if psutil.LINUX else 0.0
        return round(float(psutil.Process(pid).create_time()) - boot, 2)
    except psutil.Error:
        return 0.0
