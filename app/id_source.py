"""Gives ids out: leases a node number through a file that all instances of a machine share.

The file holds a header and 8 bytes per node: the highest stamp the node has used. A process owns a
node as long as it holds the kernel's lock on those bytes; the kernel lets go when the process
ends, however it ends. The stamp is a plain store into mapped memory before the id is given out,
so the next owner knows it after a `kill -9` as well, and a clock that went back is harmless.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from . import ids

_HEADER = struct.Struct("=8sII")  # magic, version, nodes
_HEADER_BYTES = 64
_MAGIC = b"id-nodes"
_VERSION = 1
_SIZE = _HEADER_BYTES + ids.NODES * 8


class NoFreeNodeError(RuntimeError):
    """Every node number is leased by a living process."""


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


class IdSource:
    """A leased node and the ids it gives.

    POSIX locks belong to the process and are not inherited: lease after the fork, once per
    process and file.

    Args:
        path: the shared file, made if absent. Instances that share a store must share it.
        clock: Unix time in milliseconds.

    Raises NoFreeNodeError, and OSError when the file cannot be used.
    """

    def __init__(self, path: Path, *, clock: Callable[[], int] = _unix_ms) -> None:
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._prepare(path)
            self._cells = memoryview(mmap.mmap(self._fd, _SIZE))[_HEADER_BYTES:].cast("Q")
            self.node = self._lease(path)
        except BaseException:
            os.close(self._fd)
            raise

    def next(self) -> int:
        """An id that was never given before. Raises OutOfIdsError."""
        node = self.node
        stamp = ids.next_stamp(self._cells[node], self._clock())
        self._cells[node] = stamp
        return ids.compose(stamp, node)

    def close(self) -> None:
        """Give the node back."""
        os.close(self._fd)

    def _prepare(self, path: Path) -> None:
        header = _HEADER.pack(_MAGIC, _VERSION, ids.NODES)
        fcntl.lockf(self._fd, fcntl.LOCK_EX, _HEADER_BYTES, 0)  # waits for whoever is making it
        try:
            found = os.pread(self._fd, len(header), 0)
            if not found:
                # In full, so that a full disk fails here and not as SIGBUS at a store later.
                os.pwrite(self._fd, header.ljust(_SIZE, b"\x00"), 0)
            elif found != header or os.fstat(self._fd).st_size != _SIZE:
                # Starting it anew could give ids twice, so that is for a person to decide.
                raise OSError(errno.EINVAL, "is not an ids file of this version", str(path))
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _HEADER_BYTES, 0)

    def _lease(self, path: Path) -> int:
        for node in range(ids.NODES):
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, _HEADER_BYTES + node * 8)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
                continue
            return node
        raise NoFreeNodeError(f"{path}: all {ids.NODES} nodes are leased by living processes")
