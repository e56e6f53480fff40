"""A file that several processes append to and that never grows without bound."""

from __future__ import annotations

import fcntl
import os
from itertools import pairwise
from pathlib import Path


class AppendFile:
    """Appends whole chunks; renames the file to FILE.1, FILE.2 … when it is too large.

    Each chunk is one `write` on a descriptor opened with O_APPEND, so chunks of several processes
    never mix. Whoever finds the file too large renames it, under a file lock; the others notice
    the new inode at their next append.

    Raises OSError when the file cannot be opened or written.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = self._open()

    def append(self, chunk: bytes) -> None:
        self._follow_rotation()
        view = memoryview(chunk)
        while view:  # a nearly full disk takes a part
            view = view[os.write(self._fd, view) :]
        if os.fstat(self._fd).st_size > self._max_bytes:
            self._rotate()

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _follow_rotation(self) -> None:
        try:
            current = self._path.stat().st_ino
        except FileNotFoundError:
            current = -1
        if current != os.fstat(self._fd).st_ino:
            os.close(self._fd)
            self._fd = self._open()

    def _rotate(self) -> None:
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.stat().st_size > self._max_bytes:  # nobody was faster
                names = [
                    self._path,
                    *(Path(f"{self._path}.{age}") for age in range(1, self._keep + 1)),
                ]
                for newer, older in reversed(list(pairwise(names))):
                    if newer.exists():
                        newer.replace(older)
        finally:
            os.close(lock)
        self._follow_rotation()
