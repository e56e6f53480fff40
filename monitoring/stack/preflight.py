"""What must be true before supervisord is started; each failure is one line with a way out."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterator

from ..topology import Port, Program
from .processes import describe, holder, orphans, title
from .project import Project, StackError

HOST = "127.0.0.1"
# sun_path has 108 bytes with the final zero; supervisord binds to NAME.PID first and renames
_SOCKET_PATH_BYTES = 107 - len(".4194304")


def check(project: Project) -> list[str]:
    """What will keep optional programs from starting, a line each.

    Raises StackError with a line for each thing in the way of the others.
    """
    too_long = path_problem(project)
    if too_long is not None:
        raise StackError(too_long)
    left = orphans(project.topology, project.root)
    if left:
        told = "".join(f"\n  {title(process)}" for process in left)
        raise StackError(
            "programs of an earlier start still run and no supervisord answers for them. "
            f"To end them: make down{told}"
        )
    problems = list(ports_in_use(project))
    serious = [line for program, line in problems if not program.optional]
    if serious:
        raise StackError("\n".join(serious))
    return [line for _program, line in problems]


def path_problem(project: Project) -> str | None:
    """Why no control socket can be made in this folder."""
    if len(os.fsencode(project.topology.socket)) <= _SOCKET_PATH_BYTES:
        return None
    return (
        f"the path of the control socket is longer than {_SOCKET_PATH_BYTES} bytes "
        f"({project.topology.socket}): move the project to a folder with a shorter path"
    )


def ports_in_use(project: Project, ours: Collection[int] = ()) -> Iterator[tuple[Program, str]]:
    """A line for each port that a program cannot have; `ours` are the pids that may hold one."""
    taken = {port.number for program in project.topology.programs for port in program.ports}
    for program in project.topology.programs:
        for port in program.ports if program.autostart else ():
            problem = bind_problem(port.number)
            if problem is not None and not _held_by(ours, port.number):
                free = _free_port(port.number, taken)
                yield program, _in_the_way(program, port, problem, free)


def _held_by(pids: Collection[int], port: int) -> bool:
    process = holder(port) if pids else None
    return process is not None and process.pid in pids


def _in_the_way(program: Program, port: Port, problem: int, free: int | None) -> str:
    ways = [] if port.variable is None else [f"move it: {port.variable}={free or 'NUMBER'} make up"]
    if problem == errno.EACCES:
        what = "may only be used by root"
    else:
        process = holder(port.number)
        by = "a process that cannot be seen from here" if process is None else describe(process)
        what = f"is in use by {by}"
        ways.insert(0, "stop that one")
    line = f"port {port.number} on {HOST} {what}, and {program.name} wants it"
    return f"{line}; {', or '.join(ways)}" if ways else line


def bind_problem(port: int) -> int | None:
    """errno of an attempt to bind, the only test that cannot be wrong; None when it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno
    return None


def _free_port(port: int, taken: set[int]) -> int | None:
    candidates = (port + step for step in range(10_000, 60_000, 100))
    return next(
        (
            number
            for number in candidates
            if 1024 < number <= 65535 and number not in taken and bind_problem(number) is None
        ),
        None,
    )
