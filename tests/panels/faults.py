"""The faults, and what each panel that is there for one must draw. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .moves import Direction, Expected


@dataclass(frozen=True)
class Fault:
    """A program that is stopped.

    `expected` while it is, `afterwards` when it runs again.
    """

    program: str
    expected: tuple[Expected, ...]
    afterwards: tuple[Expected, ...] = ()


def _is(board: str, panel: str, direction: Direction, ref: str = "A", **labels: str) -> Expected:
    return Expected(board, panel, direction, labels, ref)


def faults(app1: str) -> tuple[Fault, ...]:
    """`app1`: its address, as the balancer's metrics name it."""
    return (
        Fault(
            "unstable",
            (
                _is("Overview", "Programs down", "rises"),
                _is("Overview", "Errors and fallbacks", "rises", "B"),
                _is("Overview", "How answers were produced", "falls", result="first_try"),
                _is("Overview", "How answers were produced", "rises", result="fallback"),
                _is("Overview", "Failures and delays per second", "falls"),
                _is("Resilience", "Answers by source", "falls", source="live"),
                _is("Resilience", "Answers by source", "rises", source="fallback"),
                _is("Resilience", "Fallbacks by reason", "rises"),
                _is("Resilience", "Attempts by outcome", "falls", outcome="ok"),
                _is("Resilience", "Hedges and probes", "rises", "B"),
                _is("Resilience", "Breaker", "rises"),
                _is("Resilience", "Faults injected", "falls"),
                _is("Processes", "Program answers", "falls", instance="unstable"),
            ),
        ),
        Fault(
            "redis1",
            (
                _is("Overview", "Shard up", "falls", shard="redis1"),
                _is("Overview", "Keys per shard", "falls", shard="redis1"),
                _is("Storage", "Shard answers", "falls", shard="redis1"),
                _is("Storage", "Records per shard", "falls", shard="redis1"),
                _is("Storage", "Records written", "falls", stored="replicated"),
                _is("Storage", "Records written", "rises", stored="degraded"),
                _is("Storage", "Copies missing", "rises", shard="redis1"),
                _is("Storage", "Operations by result", "falls", shard="redis1", result="ok"),
            ),
            (
                _is("Storage", "Shard answers", "rises", shard="redis1"),
                _is("Storage", "Copies made good", "rises", why="hint"),
            ),
        ),
        Fault(
            "app1",
            (
                _is("Overview", "Programs down", "rises"),
                _is("Overview", "Backend up", "falls", backend=app1),
                _is("Overview", "Requests per second by backend", "falls", backend=app1),
                _is("Resilience", "Backend passes its checks", "falls", backend=app1),
                _is("Resilience", "Health checks", "rises", result="fail"),
                _is("Processes", "Program answers", "falls", instance="app1"),
                _is("Processes", "Memory of each program", "falls", instance="app1"),
                _is("Processes", "Workers ready", "falls", instance="app1"),
                _is("Processes", "Requests by worker", "falls", instance="app1"),
            ),
        ),
    )
