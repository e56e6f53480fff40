"""How the stack is: what supervisord and the readiness checks say, put together and judged.

Pure: knows neither supervisord nor sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..topology import Program, Topology

# ready     does its work
# starting  not ready yet, or not ready any more
# failing   keeps dying; supervisord or the guardian starts it again
# stopped   somebody stopped it
# off       stopped, and meant to be: not started by itself, or another program does its job
# absent    optional, not installed; its log says how to get it
Condition = Literal["ready", "starting", "failing", "stopped", "off", "absent", "unknown"]
Level = Literal["ok", "degraded", "down"]

_WORDS: Mapping[Condition, str] = {
    "starting": "not ready",
    "failing": "failing",
    "stopped": "stopped",
    "unknown": "not known",
}


@dataclass(frozen=True)
class Process:
    """One line of `supervisorctl status`. Times are Unix seconds, 0 for never."""

    name: str
    state: str  # STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL UNKNOWN
    pid: int
    started: int
    stopped: int
    exit_status: int
    reason: str


@dataclass(frozen=True)
class ProgramState:
    """One program now.

    `state` is supervisord's word, "" when it does not answer. `ready` is None when nothing was
    asked. `died` is the Unix second of its last end, 0 for never. `note` is one line about what
    is wrong, "" when nothing is; `last_words` is the last line of the log of one that is failing.
    `optional`: the stack is whole without it; what does not start by itself is optional too.
    """

    name: str
    condition: Condition
    state: str
    ready: bool | None
    pid: int
    uptime_seconds: int
    died: int
    url: str | None
    optional: bool
    note: str
    last_words: str = ""

    @property
    def well(self) -> bool:
        return self.condition in ("ready", "off", "absent")


@dataclass(frozen=True)
class StackState:
    """Everything at one moment; `supervisor_pid` 0: supervisord does not answer."""

    level: Level
    sentence: str
    supervisor_pid: int
    programs: tuple[ProgramState, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """What was found out. `processes` None: supervisord did not answer.

    `problems` has, per program that was asked, None (ready) or why it is not ready.
    """

    processes: Mapping[str, Process] | None
    problems: Mapping[str, str | None]
    last_lines: Mapping[str, str]
    supervisor_pid: int
    now: float


def judge(topology: Topology, look: Look) -> StackState:
    """Every program's condition, and one sentence about the whole."""
    programs = tuple(_program_state(program, look) for program in topology.programs)
    programs = _with_stand_ins(topology, programs)
    level, sentence = _verdict(programs, supervised=look.processes is not None)
    return StackState(level, sentence, look.supervisor_pid, programs)


def _program_state(program: Program, look: Look) -> ProgramState:
    process = None if look.processes is None else look.processes.get(program.name)
    asked = program.name in look.problems
    problem = look.problems.get(program.name)
    condition = _condition(program, process, None if not asked else problem is None)
    note = problem or ""
    if condition == "absent":
        note = look.last_lines.get(program.name, "")
    elif condition == "failing" and process is not None:
        note = process.reason or f"ended with exit code {process.exit_status}"
    elif condition == "off":
        note = ""
    running = process is not None and process.pid > 0
    return ProgramState(
        name=program.name,
        condition=condition,
        state="" if process is None else process.state,
        ready=(problem is None) if asked else None,
        pid=process.pid if process is not None else 0,
        uptime_seconds=max(0, int(look.now - process.started)) if process and running else 0,
        died=0 if process is None else process.stopped,
        url=program.url,
        optional=program.optional or not program.autostart,
        note=note,
        last_words=look.last_lines.get(program.name, "") if condition == "failing" else "",
    )


def _condition(program: Program, process: Process | None, ready: bool | None) -> Condition:
    if process is None:
        if ready:
            return "ready"
        return "unknown" if program.autostart else "off"
    if process.state in ("RUNNING", "STARTING"):
        alive = process.state == "RUNNING" and ready is not False
        return "ready" if alive or ready else "starting"
    if process.state in ("STOPPED", "STOPPING"):
        return "stopped" if program.autostart else "off"
    if process.state == "EXITED" and process.exit_status == 0 and program.optional:
        return "absent"
    return "failing"


def _with_stand_ins(
    topology: Topology, programs: tuple[ProgramState, ...]
) -> tuple[ProgramState, ...]:
    """A stopped program whose URL another ready program serves is meant to be off."""
    served = {program.url for program in programs if program.condition == "ready" and program.url}
    return tuple(
        ProgramState(**{**asdict(program), "condition": "off"})
        if program.condition == "stopped" and program.url in served
        else program
        for program in programs
    )


def _verdict(programs: tuple[ProgramState, ...], *, supervised: bool) -> tuple[Level, str]:
    """Optional programs are told and change no level: without them the stack is whole."""
    ready = sum(program.condition == "ready" for program in programs)
    if not supervised:
        return ("degraded" if ready else "down"), _without_supervisord(ready)
    required = [program for program in programs if not program.optional]
    wrong = [program for program in required if not program.well]
    missed = [program for program in programs if program.optional and not program.well]
    if not wrong and not missed:
        return "ok", f"All is well: {ready} programs are ready."
    if not wrong:
        return "ok", f"{ready} programs are ready; {_told(missed)}, and the rest runs without it."
    if not any(program.condition == "ready" for program in required):
        return "down", "Nothing is ready."
    return "degraded", f"Degraded: {_told([*wrong, *missed])}."


def _without_supervisord(ready: int) -> str:
    if not ready:
        return "supervisord does not answer. To start it: make up"
    programs = "1 program still does" if ready == 1 else f"{ready} programs still do"
    return f"supervisord does not answer; {programs}. To begin anew: make down up"


def _told(programs: list[ProgramState]) -> str:
    return ", ".join(f"{program.name} is {_WORDS[program.condition]}" for program in programs)
