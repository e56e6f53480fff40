"""The stack's processes as the operating system sees them, whatever supervisord thinks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from ..topology import Topology

# What writes its title over its environment; anything else that works in the folder and listens
# is the user's own.
_RETITLED = ("redis-server", "valkey-server", "nginx")


def with_children(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all they started, as they are now. Remembered with their start times,
    so that a pid used again later is not taken for one of them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for one in (process, *process.children(recursive=True)):
                found[one.pid] = one
    return list(found.values())


def orphans(topology: Topology, root: Path) -> list[psutil.Process]:
    """Programs of this folder whose supervisord has died or lost its socket; it comes first then.

    supervisord marks the environment of what it starts with its socket. redis-server and nginx
    write their titles over theirs: those are known by working inside the folder and listening on
    one of its ports.
    """
    marker = f"unix://{topology.socket}"
    ports = {port.number for program in topology.programs for port in program.ports}
    supervisors: dict[int, psutil.Process] = {}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SUPERVISOR_SERVER_URL") == marker or (
                process.name().startswith(_RETITLED)
                and Path(process.cwd()).is_relative_to(root)
                and ports & _listening(process)
            ):
                found[process.pid] = process
                parent = process.parent()
                if parent is not None and _is_supervisord(parent):
                    supervisors[parent.pid] = parent
    return list((supervisors | found).values())


def _is_supervisord(process: psutil.Process) -> bool:
    return any(Path(word).name == "supervisord" for word in process.cmdline()[:2])


def holder(port: int) -> psutil.Process | None:
    """The process that keeps a TCP port from being bound; None when it cannot be seen from here.

    Mostly it listens; a connection that goes out from the port keeps it too.
    """
    with contextlib.suppress(psutil.Error):
        found = [
            connection
            for connection in psutil.net_connections(kind="tcp")
            if connection.laddr and connection.laddr.port == port and connection.pid
        ]
        found.sort(key=lambda connection: connection.status != psutil.CONN_LISTEN)
        if found and found[0].pid:
            return psutil.Process(found[0].pid)
    return None


def describe(process: psutil.Process) -> str:
    """`redis-server (pid 812, in /srv/other)`."""
    name, place = "a process", ""
    with contextlib.suppress(psutil.Error):
        name = process.name()
        place = f", in {process.cwd()}"
    return f"{name} (pid {process.pid}{place})"


def title(process: psutil.Process) -> str:
    """`app1 (pid 812)`, by the name it has in supervisord.conf where that is known."""
    name = "a process"
    with contextlib.suppress(psutil.Error):
        name = process.name()
        name = process.environ().get("SUPERVISOR_PROCESS_NAME") or name
    return f"{name} (pid {process.pid})"


def _listening(process: psutil.Process) -> set[int]:
    return {
        connection.laddr.port
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    }
