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
        f"{CLIENTS} clients in a closed loop that try nothing again. kill -9 takes along what the"
        " worker had accepted: nobody's pool can save that, only a balancer in front, here of two"
        " pools."
    )
    events: dict[str, Callable[[Program], None]] = {RESTART: _restart, KILL: _kill}
    for what, act in bench.effort.cases(list(events.items())):
        for keep in (True, False):
            case = f"{what}, {'kept connections' if keep else 'a connection each'}"
            for name in pools.NAMES:
                with bench.contender(name), bench.for_a_while():
                    bench.step(f"{case}: {name}")
                    _measure(bench, case, name, act, keep=keep)


def _measure(
    bench: Bench, case: str, name: str, act: Callable[[Program], None], *, keep: bool
) -> None:
    program, port = pools.start(bench, name)
    clients = CountingClients(port, keep=keep)
    ours = name in (pools.OURS, pools.BEHIND)
    least = bench.effort.losses_requests if ours else 0
    times = 0
    with clients.asking():
        while times < bench.effort.losses_rounds or (clients.answered and clients.asked < least):
            time.sleep(_PAUSE / 4)
            act(program)
            time.sleep(_PAUSE * 3 / 4)
            times += 1
    if not clients.answered:
        bench.result.refuse(case, name, "no request was answered")
        return
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
