"""A running pool as seen from outside: its status page, and the signals it takes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from .describe import describe_pool
from .lock import holder
from .settings import MOST_WORKERS
from .status import StatusPage


class NotRunningError(Exception):
    """No pool of that name runs; the message is one line for the user."""


class RunningPool:
    """One pool of the run folder.

    Raises NotRunningError when there is none of that name, PermissionError when it belongs to
    somebody else.
    """

    def __init__(self, run_dir: Path, name: str) -> None:
        found = holder(run_dir, name)
        nobody = NotRunningError(f"{name}: no pool of that name runs (looked in {run_dir})")
        if found is None:
            raise nobody
        self.name = name
        self.pid, page_fd = found
        try:
            fd = os.open(f"/proc/{self.pid}/fd/{page_fd}", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # it ended meanwhile
            raise nobody from None
        self.page = StatusPage(fd)
        os.close(fd)

    def describe(self) -> dict[str, Any]:
        return describe_pool(self.name, self.pid, self.page)

    def scale(self, workers: int) -> None:
        """Ask for so many workers. Raises ValueError outside 1..32."""
        if not 1 <= workers <= MOST_WORKERS:
            raise ValueError(f"workers {workers}: must be from 1 to {MOST_WORKERS}")
        self.page.set_wanted(workers)
        os.kill(self.pid, signal.SIGUSR1)

    def reload(self) -> None:
        """Ask for a rolling restart."""
        os.kill(self.pid, signal.SIGHUP)


def names(run_dir: Path) -> list[str]:
    """The pools that run, by name."""
    found = sorted(path.stem for path in run_dir.glob("*.lock"))
    return [name for name in found if holder(run_dir, name) is not None]
