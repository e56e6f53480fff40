"""The changes a person made to the backends, in a file that all workers of the balancer share.

Whichever worker is asked writes it, the others read it at their next tick; a worker that is
started later, or after a crash of the whole balancer, finds it. A file that cannot be read
changes nothing: what was read last stays in force, and the problem is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from .membership import BadChangesError, Change, Changes, Recorded, dump, load
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
        serial: of the last change; workers with the same know the same.
        problem: why the file could not be read, or empty.
    """

    def __init__(self, path: Path | None) -> None:
        self.changes: Changes = {}
        self.serial = 0
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
        before = self.serial, self.changes, self.problem
        self._read(self._path)
        return (self.serial, self.changes, self.problem) != before

    async def change(self, decide: Callable[[Changes], dict[Address, Change]]) -> None:
        """Replace the changes by what `decide` makes of those in the file.

        Raises what `decide` raises, and ChangesFileError; then nothing has changed.
        """
        async with self._alone():
            self.look()
            if self.problem:
                raise ChangesFileError(f"{self.problem}; `python -m balancer reset` mends it")
            await self._record(decide(self.changes))

    async def forget(self) -> None:
        """No changes any more, whatever the file holds. Raises ChangesFileError."""
        async with self._alone():
            await self._record({})

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """No other worker changes anything meanwhile. Raises ChangesFileError, also for an
        OSError within."""
        path = self._path
        if path is None:
            yield
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.with_suffix(".writing").open("a") as lock:
                await _lock(lock.fileno())
                yield
        except OSError as error:
            raise ChangesFileError(f"cannot write {path}: {error.strerror}") from None

    async def _record(self, changes: Changes) -> None:
        recorded = Recorded(self.serial + 1, changes)
        if self._path is not None:
            await asyncio.to_thread(_write, self._path, recorded)
            self._seen = _signature(self._path)
        self.serial, self.changes, self.problem = recorded.serial, changes, ""

    def _read(self, path: Path) -> None:
        self.problem = ""
        try:
            recorded = load(path.read_text())
            self.serial, self.changes = recorded.serial, recorded.changes
        except FileNotFoundError:
            self.serial, self.changes = 0, {}
        except (OSError, UnicodeDecodeError, BadChangesError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self.problem = f"{path} is not used: {why}"


def _write(path: Path, recorded: Recorded) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(dump(recorded))
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
