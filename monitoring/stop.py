"""End everything, and make sure of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil
from rich.console import Console

from .processes import describe, orphans, with_children
from .project import Project, StackError
from .supervision import NotRunningError
from .terminal import doing

POLL_SECONDS = 0.1
SPARE_SECONDS = 15.0  # on top of what the programs may take to stop, one after another


def stop(project: Project, out: Console) -> None:
    """Shut supervisord down, wait, and look for anything left.

    Orphans of a supervisord that died are ended too. Raises StackError naming what is left.
    """
    try:
        supervised = _end_supervisord(project, out)
    except NotRunningError:
        supervised = []
        out.print("Nothing runs here: supervisord is not running.")
    left = _alive(supervised)
    for process in orphans(project.topology, project.root):
        if process not in left:
            left.append(process)
    if left:
        _end_orphans(project, out, left)
    elif supervised:
        out.print("Everything has ended; nothing is left behind.")


def _end_supervisord(project: Project, out: Console) -> list[psutil.Process]:
    """All processes that were there before; supervisord has ended when this returns."""
    supervisor = project.supervisor
    pid = supervisor.pid()
    everyone = with_children([pid])
    began = time.monotonic()
    limit = SPARE_SECONDS + sum(program.stop_seconds for program in project.topology.programs)
    with doing(out, "stopping"):
        with contextlib.suppress(NotRunningError):
            supervisor.shutdown()
        while psutil.pid_exists(pid) and any(p.pid == pid for p in _alive(everyone)):
            if time.monotonic() - began > limit:
                raise StackError(f"supervisord (pid {pid}) has not ended after {limit:.0f} s")
            everyone.extend(one for one in with_children([pid]) if one not in everyone)
            time.sleep(POLL_SECONDS)
    out.print(f"  supervisord and its programs stopped after {time.monotonic() - began:.1f} s")
    return everyone


def _end_orphans(project: Project, out: Console, left: list[psutil.Process]) -> None:
    limit = max(program.stop_seconds for program in project.topology.programs)
    for process in left:
        out.print(f"  ending {describe(process)}", markup=False)
        with contextlib.suppress(psutil.Error):
            process.terminate()
    with doing(out, "waiting for them"):
        _gone, stubborn = psutil.wait_procs(left, timeout=limit)
    still = [*stubborn, *orphans(project.topology, project.root)]
    if still:
        told = ", ".join(dict.fromkeys(describe(process) for process in still))
        pids = " ".join(dict.fromkeys(str(process.pid) for process in still))
        raise StackError(f"still running: {told}. To end them: kill -9 {pids}")
    out.print("Everything has ended; nothing is left behind.")


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive
