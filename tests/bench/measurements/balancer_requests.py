"""How many requests can the balancer pass on with one core?"""

from __future__ import annotations

from .. import closed_loop, proxies
from ..bench import Bench, Measurement
from ..peers import backend as static_backend
from ..results import Chart


def run(bench: Bench) -> None:
    backend = static_backend.start(bench)
    contenders = proxies.start_all(bench, backend)
    bench.result.note(bench.cores.told("proxy", "wrk (32 connections)", "backend"))
    for case, request in bench.effort.cases(list(proxies.CASES.items())):
        closed_loop.measure(bench, case, [closed_loop.Side(one, request) for one in contenders])
    proxies.check_logs(bench, contenders)


MEASUREMENT = Measurement(
    name="balancer-requests",
    title="Balancer: requests a core can pass on",
    about=proxies.JOB,
    place=10,
    baseline=proxies.NGINX,
    metrics=closed_loop.METRICS,
    charts=(Chart("per_core", "ratios", "Requests/s of one core, NGINX = 1"),),
    run=run,
)
