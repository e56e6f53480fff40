"""The most requests per second: wrk on 32 connections against each contender in turn. Edge.

The headline is *requests per second of one core*: requests over the CPU seconds that the contender
used for them. Where it is the slowest part, its core is busy all the time and that is what one
reads off a clock as well; where the load is (two CPUs hardly saturate NGINX), the clock would
flatter whoever is slower, and other programs on the machine would be part of the figure.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench
from .cores import Cpus
from .peers import Contender
from .processes import ProgramError, bound_to
from .results import Metric
from .tool_outputs import WrkRun, wrk_run

CONNECTIONS = 32
METRICS = (
    Metric("per_core", "requests/s of one core", better="more", compared=True),
    Metric("rate", "requests/s reached", better="more"),
    Metric("busy", "cores used", better="neither"),
    Metric("memory", "memory", "bytes", "less"),
)
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, over and over.

    Args:
        least: size of the body that each answer must have, at least.
        upload: bytes of a body to send along; 0 for none.
        refused: an answer with this text in its body says that the work was not done.
        last: a connection for each request.
    """

    path: str
    least: int = 0
    upload: int = 0
    refused: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """A contender and what it is asked; it may be asked differently from the others."""

    contender: Contender
    request: Request

    @property
    def title(self) -> str:
        return self.contender.name


def measure(
    bench: Bench,
    case: str,
    sides: Sequence[Side],
    load: Cpus | None = None,
    *,
    rounds: int | None = None,
) -> None:
    """Every round asks each side once, one after the other: A B A B.

    Args:
        load: where wrk runs, if not on the CPU of the load.
        rounds: how many, if not as many as everywhere.
    """
    cpus = bench.cores.load if load is None else load
    effort = bench.effort
    rounds = rounds or effort.wrk_rounds
    for side in sides:
        if effort.wrk_warmup:
            bench.step(f"{case}: {side.title}, warm-up")
            run_wrk(bench, side.contender.port, side.request, effort.wrk_warmup, cpus)
    for number in range(1, rounds + 1):
        for side in sides:
            bench.step(f"{case}: {side.title}, round {number} of {rounds}")
            _sample(bench, case, side, cpus)
            bench.trim_logs()


def _sample(bench: Bench, case: str, side: Side, cpus: Cpus) -> None:
    used, began = side.contender.cpu_seconds(), time.monotonic()
    run = run_wrk(bench, side.contender.port, side.request, bench.effort.wrk_seconds, cpus)
    used, took = side.contender.cpu_seconds() - used, time.monotonic() - began
    problem = run.problem(side.request.least)
    if run.marked:
        problem = f"{run.marked} of {run.requests} answers say {side.request.refused!r}"
    if problem is not None:
        bench.result.refuse(case, side.title, problem)
        return
    bench.result.add(
        case,
        side.title,
        per_core=run.requests / max(used, 1e-9),
        rate=run.per_second,
        busy=used / took,
        memory=side.contender.memory(),
    )


def run_wrk(
    bench: Bench,
    port: int,
    request: Request,
    seconds: int,
    cpus: Cpus,
    connections: int = CONNECTIONS,
) -> WrkRun:
    """Raises ProgramError when wrk itself fails."""
    command = [
        bench.program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
        "--timeout", "10s", *(["-H", "Connection: close"] if request.last else []),
        "-s", str(_SCRIPT), f"http://127.0.0.1:{port}{request.path}", "--",
    ]  # fmt: skip
    if request.upload:
        command += ["body", str(request.upload)]
    if request.refused:
        command += ["mark", request.refused]
    with bound_to(cpus):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    try:
        return wrk_run(done.stdout)
    except ValueError as error:
        raise ProgramError(f"{error} {done.stderr.strip()[-200:]}") from error
