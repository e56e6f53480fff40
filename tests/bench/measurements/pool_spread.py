"""How evenly do the workers of a pool share kept connections?"""

from __future__ import annotations

import time

from workers.attach import RunningPool

from ..bench import Bench, Measurement
from ..closed_loop import Request, run_wrk
from ..peers import spread
from ..processes import ProgramError
from ..results import Chart, Metric

WORKERS = 4
_KEPT, _ONE_EACH = Request("/", least=80), Request("/", least=80, last=True)
CASES = {
    **{f"{kept} connections": (kept, _KEPT) for kept in (8, 64)},
    "32 clients, a connection each time": (32, _ONE_EACH),
}


def run(bench: Bench) -> None:
    bench.result.note(
        f"{WORKERS} workers and wrk share all CPUs. Every round makes its connections anew: which"
        " worker has how many is decided then."
    )
    started: dict[str, tuple[int, RunningPool]] = {}
    for name in spread.NAMES:
        with bench.contender(name):
            bench.step(f"starting {name}")
            _program, port, run_dir = spread.start(bench, name, WORKERS)
            pool = RunningPool(run_dir, "spread")
            _wait_for_all(pool)
            started[name] = port, pool
    for case, (connections, request) in bench.effort.cases(list(CASES.items())):
        for _ in range(bench.effort.spread_rounds):
            for name, (port, pool) in started.items():
                with bench.contender(name):
                    bench.step(f"{case}: {name}")
                    _sample(bench, case, name, port, pool, connections, request)


def _sample(
    bench: Bench,
    case: str,
    name: str,
    port: int,
    pool: RunningPool,
    connections: int,
    request: Request,
) -> None:
    before = _requests(pool)
    seconds = bench.effort.spread_seconds
    run = run_wrk(bench, port, request, seconds, bench.cores.all, connections)
    problem = run.problem(request.least)
    if problem is not None:
        bench.result.refuse(case, name, problem)
        return
    shares = [after - was for after, was in zip(_requests(pool), before, strict=True)]
    bench.result.add(
        case,
        name,
        spread=max(shares) * len(shares) / sum(shares),
        least=min(shares) * len(shares) / sum(shares),
        rate=run.per_second,
    )


def _wait_for_all(pool: RunningPool) -> None:
    """Raises ProgramError: with fewer workers nothing could be even."""
    deadline = time.monotonic() + 10
    while [worker["state"] for worker in pool.describe()["workers"]] != ["ready"] * WORKERS:
        if time.monotonic() > deadline:
            raise ProgramError(f"not all of {WORKERS} workers are ready")
        time.sleep(0.05)


def _requests(pool: RunningPool) -> list[int]:
    return [worker["requests"] for worker in pool.describe()["workers"]]


MEASUREMENT = Measurement(
    name="pool-spread",
    title="Pools: how evenly workers share kept connections",
    about="Requests of the busiest worker over the mean of all; 1 is perfectly even.",
    place=46,
    baseline=spread.SLOTS,
    metrics=(
        Metric("spread", "busiest / mean", "times", "less", compared=True),
        Metric("least", "idlest / mean", "times", "more"),
        Metric("rate", "requests/s reached", better="more"),
    ),
    charts=(Chart("spread", "values", "Requests of the busiest worker over the mean"),),
    run=run,
)
