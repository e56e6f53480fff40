"""Do more workers answer more?"""

from __future__ import annotations

from dataclasses import replace

from .. import closed_loop
from ..bench import Bench, Measurement
from ..closed_loop import Request, Side
from ..peers import app, plain_app, redis
from ..peers import backend as static_backend
from ..results import Chart


def counts(cpus: int) -> list[int]:
    """1, 2, 3, 4, then doubling, and as many as there are CPUs."""
    return sorted({n for n in (1, 2, 3, 4, 8, 16, 32) if n < cpus} | {max(1, min(cpus, 32))})


def run(bench: Bench) -> None:
    shards = redis.start(bench)
    upstream = f"http://127.0.0.1:{static_backend.start(bench).port}/data"
    ask = Request("/", least=80, refused=plain_app.FALLBACK["message"])
    cpus = len(bench.cores.all) or 1
    for workers in bench.effort.cases(counts(cpus)):
        where = bench.cores.for_workers(workers)
        rest = bench.cores.all - where or bench.cores.all
        case = "1 worker" if workers == 1 else f"{workers} workers"
        with bench.for_a_while():
            sides = [
                Side(start(bench, upstream, shards.urls, workers=workers, cpus=where), ask)
                for start in (app.start, plain_app.start)
            ]
            closed_loop.measure(bench, case, sides, rest)
    bench.result.note(
        f"As many workers as there are CPUs ({cpus}) share them with wrk, upstream and shards, so"
        " the last step cannot double anything on a small machine."
    )


MEASUREMENT = Measurement(
    name="app-scaling",
    title="App: GET / by number of workers",
    about="One instance, no balancer, a healthy external service.",
    place=40,
    baseline=plain_app.NAME,
    metrics=(
        replace(closed_loop.METRICS[1], compared=True),
        replace(closed_loop.METRICS[0], compared=False),
        *closed_loop.METRICS[2:],
    ),
    charts=(Chart("rate", "lines", "Requests/s by workers"),),
    run=run,
)
