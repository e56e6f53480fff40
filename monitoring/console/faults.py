"""The faults that the page's buttons make, each with the shell command it stands for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..topology import Topology
from .snapshot import role

Action = Literal["stop", "start", "kill-worker", "freeze", "thaw", "faults", "burst", "put-right"]
BURST_REQUESTS = 3000
BURST_CLIENTS = 60
_SUPERVISORCTL = ".venv/bin/supervisorctl"
_SET = {
    "at-80": ("fail 80 %", {"failure_rate": 0.8}),
    "hang": ("hang", {"failure_rate": 0.0, "hang_rate": 1.0}),
    "garbage": ("garbage", {"failure_rate": 0.0, "garbage_rate": 1.0}),
}


@dataclass(frozen=True)
class Fault:
    """One button.

    Args:
        name: in the address of the POST.
        label: on the button, behind the program's name.
        program: whom it is done to; "" for the stack as a whole.
        command: what does the same in a shell, in the project's folder.
        rates: for "faults", what the external service is set to.
    """

    name: str
    label: str
    program: str
    action: Action
    command: str
    rates: Mapping[str, float] = field(default_factory=dict)


def all_faults(topology: Topology) -> dict[str, Fault]:
    """By name, in the order of the page. Only for programs that there are."""
    found: list[Fault] = []
    for program in sorted(topology.programs, key=lambda one: -one.priority):
        kind = role(program)
        if kind == "other":
            continue
        found += _stop_and_start(program.name)
        if kind == "app":
            found.append(_kill_worker(program.name))
        if kind == "unstable":
            found += _set_faults(program.name, faults_url(topology) or "")
        if kind == "shard":
            found += _freeze_and_thaw(program.name)
    door = next((one for one in topology.programs if role(one) == "balancer"), None)
    if door is not None and door.url:
        found.append(
            Fault(
                "burst", "burst of load", "", "burst",
                f"seq {BURST_REQUESTS} | xargs -P {BURST_CLIENTS} -I{{}} "
                f"curl -s -o /dev/null {door.url}",
            )
        )  # fmt: skip
    found.append(_put_right(topology))
    return {fault.name: fault for fault in found}


def _stop_and_start(name: str) -> list[Fault]:
    return [
        Fault(f"stop-{name}", "stop", name, "stop", f"{_SUPERVISORCTL} stop {name}"),
        Fault(f"start-{name}", "start", name, "start", f"{_SUPERVISORCTL} start {name}"),
    ]


def _kill_worker(name: str) -> Fault:
    command = f"kill -9 $(pgrep -P $({_SUPERVISORCTL} pid {name}) | head -1)"
    return Fault(f"kill-worker-{name}", "kill a worker", name, "kill-worker", command)


def _freeze_and_thaw(name: str) -> list[Fault]:
    pid = f"$({_SUPERVISORCTL} pid {name})"
    return [
        Fault(f"freeze-{name}", "freeze", name, "freeze", f"kill -STOP {pid}"),
        Fault(f"thaw-{name}", "thaw", name, "thaw", f"kill -CONT {pid}"),
    ]


def _set_faults(name: str, url: str) -> list[Fault]:
    return [
        Fault(
            f"{name}-{short}", label, name, "faults",
            "curl -X PUT -H 'Content-Type: application/json' "
            f"-d '{json.dumps(rates)}' {url}",
            rates,
        )
        for short, (label, rates) in _SET.items()
    ]  # fmt: skip


def faults_url(topology: Topology) -> str | None:
    """Where the external service takes its settings; None where there is none."""
    for program in topology.programs:
        if role(program) == "unstable" and program.ready:
            return program.ready.rpartition("/")[0] + "/faults"
    return None


def _put_right(topology: Topology) -> Fault:
    """Thaw, start what is to run, and give the external service its faults back."""
    ours = [one.name for one in topology.programs if one.autostart and not one.optional]
    shards = [one.name for one in topology.programs if role(one) == "shard"]
    commands = [f"kill -CONT $({_SUPERVISORCTL} pid {name})" for name in shards]
    commands.append(f"{_SUPERVISORCTL} start {' '.join(ours)}")
    if url := faults_url(topology):
        commands.append(f"curl -X DELETE {url}")
    return Fault("put-right", "put everything right", "", "put-right", "; ".join(commands))
