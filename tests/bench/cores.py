"""Which CPU does what. Pure.

What is measured gets a CPU of its own; load and backends share the others. On a single CPU, or
where a process cannot be bound to CPUs (macOS), everything shares, and the report says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

Cpus = frozenset[int]


@dataclass(frozen=True, slots=True)
class Cores:
    """`all` is empty where processes cannot be bound."""

    all: Cpus
    measured: Cpus
    load: Cpus
    backends: Cpus

    def for_workers(self, count: int) -> Cpus:
        """`count` CPUs for what is measured, its own first; the load's as the last resort."""
        others = sorted(self.all - self.measured - self.load) + sorted(self.load - self.measured)
        return frozenset([*self.measured, *others][: max(count, 1)])

    def told(self, measured: str, load: str = "wrk", backends: str = "backend") -> str:
        """In one line, for the report."""
        if not self.all:
            return f"{measured}, {load} and {backends} share all CPUs (this system cannot bind)"
        places = [(measured, self.measured), (load, self.load), (backends, self.backends)]
        return "; ".join(f"{what}: {named(cpus)}" for what, cpus in places if what)


def plan(allowed: Iterable[int], siblings: Collection[Cpus] = ()) -> Cores:
    """Places for everybody.

    Args:
        siblings: sets of CPUs that share one physical core. Nothing runs beside what is measured
            while there is another place.
    """
    cpus = sorted(set(allowed))
    everything = frozenset(cpus)
    if len(cpus) < 2:
        return Cores(everything, everything, everything, everything)
    measured = cpus[-1]
    shared = next((group for group in siblings if measured in group), frozenset())
    others = [cpu for cpu in cpus if cpu != measured]
    free = [cpu for cpu in others if cpu not in shared] or others
    load = frozenset(free[:1])
    return Cores(everything, frozenset({measured}), load, frozenset(free[1:3]) or load)


def named(cpus: Cpus) -> str:
    return ("CPU " if len(cpus) == 1 else "CPUs ") + ", ".join(map(str, sorted(cpus)))
