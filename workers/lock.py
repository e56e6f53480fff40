"""One pool per name: a lock that the kernel gives back, whatever happens to its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .listener import StartError


def lock_path(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.lock"


def take_name(run_dir: Path, name: str, page_fd: int) -> int:
    """Lock the name and say in the file who has it and where its status page is.

    Returns the descriptor to keep. Raises StartError when another pool has the name or the folder
    cannot be written.
    """
    path = lock_path(run_dir, name)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StartError(f"{name}: cannot write {path}: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 64).decode().partition(" ")[0] or "another process"
        os.close(fd)
        raise StartError(
            f"{name}: already runs (pid {holder} holds {path}); stop that one first"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {page_fd}\n".encode(), 0)
    return fd


def holder(run_dir: Path, name: str) -> tuple[int, int] | None:
    """Pid and page descriptor of the pool that has the name, None when nobody does, or has taken
    it just now and has not written yet who it is."""
    try:
        fd = os.open(lock_path(run_dir, name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, page_fd = os.read(fd, 64).decode().partition(" ")
        return (int(pid), int(page_fd)) if page_fd else None
    finally:
        os.close(fd)
    return None
