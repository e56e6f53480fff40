"""A file of fixed layout that several processes map into their memory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ForeignFileError(OSError):
    """There is no file of this layout, and none may be made."""


def open_shared(path: Path, header: bytes, size: int, *, replace: bool = True) -> int:
    """A descriptor of the file, which begins with `header` and is `size` bytes long.

    A file of another layout is replaced by a new one and never shortened: a process that still
    maps it (an older worker that is draining) would be killed by SIGBUS at its next access. All
    blocks are written at creation, for the same reason: on a full disk this function fails, not
    a store into the mapped memory later.

    Raises OSError when the file cannot be opened or created. With `replace` false nothing is made
    or replaced: ForeignFileError.
    """
    if replace:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise ForeignFileError(f"{path} is no file")
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if replace else 0), 0o600)
        try:
            with locked(fd):
                if _is_at(path, fd):  # else another process replaced it before we had the lock
                    if os.fstat(fd).st_size == size and os.pread(fd, len(header), 0) == header:
                        return fd
                    if not replace:
                        raise ForeignFileError(f"{path} is of another layout")
                    _replace(path, header.ljust(size, b"\x00"))
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


@contextmanager
def locked(fd: int) -> Iterator[None]:
    """Hold the file's lock. It belongs to the process, and ends with it."""
    fcntl.lockf(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(fd, fcntl.LOCK_UN)


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    new.replace(path)
