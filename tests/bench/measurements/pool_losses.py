"""How many requests are lost when the workers of a pool come and go?"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from ..bench import Bench, Measurement
from ..counting_clients import CLIENTS, CountingClients
from ..peers import pools
from ..processes import Program
from ..results import Chart, Metric

RESTART, KILL = "rolling restart", "kill -9 of a worker"
_PAUSE = 1.6  # between two of them: every pool has its workers again by then


def run(bench: Bench) -> None:
    bench.result.note(
        f"{CLIENTS} clients of each kind in a closed loop that try nothing again. kill -9 takes"
        " along what the worker had accepted: nobody's pool can save that, only a balancer in"
        " front, here of two pools."
    )
    events: dict[str, Callable[[Program], None]] = {RESTART: _restart, KILL: _kill}
    for what, act in bench.effort.cases(list(events.items())):
        for name in pools.NAMES:
            with bench.contender(name), bench.for_a_while():
                bench.step(f"{what}: {name}")
                _measure(bench, what, name, act)


def _measure(bench: Bench, what: str, name: str, act: Callable[[Program], None]) -> None:
    """Both kinds of clients ask the same pool at the same time."""
    program, port = pools.start(bench, name)
    kept, each = CountingClients(port, keep=True), CountingClients(port, keep=False)
    ours = name in (pools.OURS, pools.BEHIND)
    least = bench.effort.losses_requests if ours else 0
    times = 0

    def too_few() -> bool:
        return any(clients.answered and clients.asked < least for clients in (kept, each))

    with kept.asking(), each.asking():
        while times < bench.effort.losses_rounds or too_few():
            time.sleep(_PAUSE / 4)
            act(program)
            time.sleep(_PAUSE * 3 / 4)
            times += 1
    for clients, kind in ((kept, "kept connections"), (each, "a connection each")):
        case = f"{what}, {kind}"
        if not clients.answered:
            bench.result.refuse(case, name, "no request was answered")
            continue
        bench.result.add(
            case,
            name,
            lost=len(clients.lost) / times,
            share=len(clients.lost) / clients.asked,
            asked=clients.asked,
            times=times,
        )


def _restart(program: Program) -> None:
    os.kill(program.tree.pid, signal.SIGHUP)


def _kill(program: Program) -> None:
    """The worker that has worked most: helpers of some pools are children too."""
    program.wait_until(lambda: _workers(program))
    with suppress(psutil.NoSuchProcess, ValueError):  # it ended meanwhile
        max(_workers(program), key=lambda process: sum(process.cpu_times()[:2])).kill()


def _workers(program: Program) -> list[psutil.Process]:
    return [process for process in program.tree.processes() if process.pid != program.tree.pid]


MEASUREMENT = Measurement(
    name="pool-losses",
    title="Pools: requests lost when workers come and go",
    about="Two workers and the same small handler on each pool, clients straight at it.",
    place=45,
    baseline=pools.OURS,
    metrics=(
        Metric("lost", "lost each time", better="less"),
        Metric("share", "share of all requests", "share", "less"),
        Metric("asked", "requests"),
        Metric("times", "times"),
    ),
    charts=(Chart("lost", "values", "Requests lost each time"),),
    run=run,
)
