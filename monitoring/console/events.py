"""What happened between two looks, in words: the vertical lines of the charts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..stack.status import WORDS
from .snapshot import Snapshot


@dataclass(frozen=True)
class Event:
    """`at` in Unix milliseconds."""

    at: int
    what: str


def events_between(before: Snapshot, now: Snapshot) -> list[Event]:
    """Programs that changed, workers replaced, the breaker, faults set."""
    at = round(1000 * now.at)
    told = [*_programs(before, now), *_pools(before, now)]
    if before.breaker != now.breaker and before.changed("app") and now.changed("app"):
        told.append(f"breaker {now.breaker}")
    return [Event(at, what) for what in told]


def _programs(before: Snapshot, now: Snapshot) -> list[str]:
    old = {program.name: program for program in before.state.programs}
    told = []
    for program in now.state.programs:
        was = old.get(program.name)
        if was is None:
            continue
        if was.condition != program.condition:
            word = WORDS.get(program.condition, program.condition)
            told.append(f"{program.name} {'not ready' if word == 'starting' else word}")
        elif was.pid and program.pid and was.pid != program.pid:
            told.append(f"{program.name} started again")
    return told


def _pools(before: Snapshot, now: Snapshot) -> list[str]:
    told = []
    for name, pool in now.pools.items():
        was = before.pools.get(name)
        if was is None or was["pid"] != pool["pid"]:
            continue
        for reason, count in pool["restarts"].items():
            if (new := count - was["restarts"].get(reason, 0)) > 0:
                told.append(f"{name}: {new} worker{'s' if new > 1 else ''} replaced ({reason})")
    return told
