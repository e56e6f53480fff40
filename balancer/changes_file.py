"""The changes a person made to the backends, in a file that all workers of the balancer share.

Whichever worker is asked writes it, the others read it at their next tick; a worker that is
started later, or after a crash of the whole balancer, finds it. A file that cannot be read
changes nothing: what was read last stays in force, and the problem is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from .membership import BadChangesError, Change, Changes, dump, load
from .settings import Address

_LOCK_TRIES = 50
_LOCK_PAUSE = 0.02

Signature = tuple[int, int, int]


class ChangesFileError(Exception):
    """The changes cannot be written; the message is one line for the user."""


class ChangesFile:
    """Changes of the backends and where they are kept.

    Attributes:
        changes: those in force.
        problem: why the file could not be read, or empty.
    """

    def __init__(self, path: Path | None) -> None:
        self.changes: Changes = {}
        self.problem = ""
        self._path = path
        self._seen: Signature | None = None

    def look(self) -> bool:
        """Whether there is news since the last look: other changes, or a problem."""
        if self._path is None:
            return False
        signature = _signature(self._path)
        if signature == self._seen:
            return False
        self._seen = signature
        before = self.changes, self.problem
        self._read(self._path)
        return (self.changes, self.problem) != before

    async def change(self, decide: Callable[[Changes], dict[Address, Change]]) -> None:
        """Replace the changes by what `decide` makes of those in the file.

        Raises what `decide` raises, and ChangesFileError; then nothing has changed.
        """
        path = self._path
        if path is None:
            self.changes = decide(self.changes)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".writing").open("a") as lock:
                await _lock(lock.fileno())
                self.look()
                if self.problem:
                    raise ChangesFileError(f"{self.problem}; `python -m balancer reset` mends it")
                changes = decide(self.changes)
                await asyncio.to_thread(_write, path, changes)
                self.changes, self._seen = changes, _signature(path)
        except OSError as error:
            raise ChangesFileError(f"cannot write {path}: {error.strerror}") from None

    async def forget(self) -> None:
        """No changes any more, whatever the file holds. Raises ChangesFileError."""
        self.problem = ""
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise ChangesFileError(f"cannot remove {self._path}: {error.strerror}") from None
        self.changes = {}
        self._seen = None

    def _read(self, path: Path) -> None:
        self.problem = ""
        try:
            self.changes = load(path.read_text())
        except FileNotFoundError:
            self.changes = {}
        except (OSError, UnicodeDecodeError, BadChangesError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self.problem = f"{path} is not used: {why}"


def _write(path: Path, changes: Changes) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(dump(changes))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


async def _lock(fd: int) -> None:
    """Never waits in the kernel: a worker that holds the lock and hangs must not stop others."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            await asyncio.sleep(_LOCK_PAUSE)
    raise ChangesFileError("another worker is changing the backends and does not finish; try again")


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
