"""End everything, and make sure of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from itertools import groupby

import psutil
from rich.console import Console

from ..terminal import doing
from ..topology import Program, Topology
from .processes import orphans, title, with_children
from .project import Project, StackError
from .supervision import NotRunningError, Supervisor

POLL_SECONDS = 0.1
SPARE_SECONDS = 10.0  # on top of what supervisord gives a program before it kills it
ALIVE = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


def stop(project: Project, out: Console) -> None:
    """Stop the programs, the front door first, then supervisord, and look for anything left.

    Orphans of a supervisord that died are ended too. Raises StackError naming what is left.
    """
    began = time.monotonic()
    try:
        supervised = _end_supervisord(project, out)
    except NotRunningError:
        supervised = []
        out.print("Nothing runs here: supervisord is not running.")
    left = {process.pid: process for process in _alive(supervised)}
    left |= {process.pid: process for process in orphans(project.topology, project.root)}
    if left:
        _end_orphans(project, out, list(left.values()))
    if left or supervised:
        seconds = time.monotonic() - began
        out.print(f"Everything has ended after {seconds:.1f} s; nothing is left behind.")


def layers(topology: Topology) -> Iterator[list[Program]]:
    """Programs of the same priority, those that started last first."""
    latest_first = reversed(topology.programs)
    for _priority, programs in groupby(latest_first, key=lambda program: program.priority):
        yield list(programs)


def _end_supervisord(project: Project, out: Console) -> list[psutil.Process]:
    """All processes there were; supervisord has ended when this returns.

    By itself supervisord stops one program after another; a layer at a time takes half as long.
    """
    supervisor = project.supervisor
    pid = supervisor.pid()
    everyone = with_children([pid])
    for layer in layers(project.topology):
        _stop_layer(supervisor, layer, out)
    with doing(out, "stopping supervisord"):
        with contextlib.suppress(NotRunningError):
            supervisor.shutdown()
        limit = time.monotonic() + SPARE_SECONDS
        while any(process.pid == pid for process in _alive(everyone)):
            if time.monotonic() > limit:
                raise StackError(
                    f"supervisord does not end. To end it: kill -9 {pid}; then again: make down"
                )
            time.sleep(POLL_SECONDS)
    return everyone


def _stop_layer(supervisor: Supervisor, layer: list[Program], out: Console) -> None:
    limit = time.monotonic() + max(program.stop_seconds for program in layer) + SPARE_SECONDS
    names = [program.name for program in layer]
    running = _running(supervisor, names)
    if not running:
        return
    with doing(out, f"stopping {', '.join(running)}"):
        for name in running:
            supervisor.stop(name)
        while _running(supervisor, names) and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)


def _running(supervisor: Supervisor, names: list[str]) -> list[str]:
    processes = supervisor.processes()
    return [name for name in names if name in processes and processes[name].state in ALIVE]


def _end_orphans(project: Project, out: Console, left: list[psutil.Process]) -> None:
    limit = max(program.stop_seconds for program in project.topology.programs)
    for process in left:
        out.print(f"left behind: {title(process)}; ending it", markup=False)
        with contextlib.suppress(psutil.Error):
            process.terminate()
    with doing(out, "waiting for them"):
        _gone, stubborn = psutil.wait_procs(left, timeout=limit)
    still = [*stubborn, *orphans(project.topology, project.root)]
    if still:
        told = ", ".join(dict.fromkeys(title(process) for process in still))
        pids = " ".join(dict.fromkeys(str(process.pid) for process in still))
        raise StackError(f"still running: {told}. To end them: kill -9 {pids}")


def _alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive
