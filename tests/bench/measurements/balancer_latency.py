"""How much time does the balancer add to an answer, at half of what it can carry?

Open loop: the same Poisson arrivals for everybody, each request timed from when it was due. What
is *added* is the percentile through the proxy less the same percentile straight to the backend.
"""

from __future__ import annotations

from .. import closed_loop, paced_load, proxies
from ..bench import Bench, Measurement
from ..closed_loop import Request
from ..paced import Outcome, Plan
from ..peers import Contender, plain_proxy
from ..peers import backend as static_backend
from ..results import Chart, Metric

DIRECT = "no proxy"
# What the generator keeps up with while it shares a core with the backend (it is late by 0.1 ms in
# 1 % of cases there; at 12,000/s by 3 ms).
MOST = 8_000.0


def run(bench: Bench) -> None:
    backend = static_backend.start(bench)
    contenders = proxies.start_all(bench, backend)
    bench.result.note(bench.cores.told("proxy", "load generator", "backend"))
    bench.result.note(
        "The rate is the same for all: half of what the slowest reaches with wrk, and at most"
        f" {MOST:,.0f}/s, which the generator keeps up with. {plain_proxy.NAME} would slow it down"
        " for everybody and has a rate of its own."
    )
    for case, request in bench.effort.cases(list(proxies.CASES.items())):
        rates = _rates(bench, case, contenders, request)
        for number in range(bench.effort.rounds):
            bench.step(f"{case}: round {number + 1} of {bench.effort.rounds}")
            direct = _sample(bench, request, backend.port, rates[backend.name], number)
            for one in contenders:
                outcome = _sample(bench, request, one.port, rates[one.name], number)
                _record(bench, case, one.name, rates[one.name], outcome, direct)
            _record(bench, case, DIRECT, rates[backend.name], direct, None)
            bench.trim_logs()
    proxies.check_logs(bench, contenders)


def _rates(
    bench: Bench, case: str, contenders: list[Contender], request: Request
) -> dict[str, float]:
    """Requests a second for each, from a second of wrk; "direct" has the common one."""
    half = {}
    for one in contenders:
        bench.step(f"{case}: {one.name}, finding its rate")
        run = closed_loop.run_wrk(bench, one.port, request, 1, bench.cores.load)
        half[one.name] = max(1.0, run.per_second / 2)
    own = half.pop(plain_proxy.NAME, MOST)
    common = min(MOST, *half.values())
    return {"direct": common, **dict.fromkeys(half, common), plain_proxy.NAME: min(common, own)}


def _sample(bench: Bench, request: Request, port: int, rate: float, seed: int) -> Outcome:
    effort = bench.effort
    plan = Plan(
        port=port,
        request=paced_load.head(request.path, request.upload),
        rate=rate,
        seconds=effort.paced_seconds,
        warmup=effort.paced_warmup,
        seed=seed,
    )
    return paced_load.run(plan, bench.cores.load)


def _record(
    bench: Bench, case: str, name: str, rate: float, outcome: Outcome, direct: Outcome | None
) -> None:
    problem = outcome.problem() or (None if direct is None else direct.problem())
    if problem is not None:
        bench.result.refuse(case, name, problem)
        return
    late = outcome.late["p99"]
    if direct is None:
        values = {"p50": outcome.latency["p50"], "p99": outcome.latency["p99"]}
        bench.result.add(case, name, rate=rate, late=late, **values)
        return
    bench.result.add(
        case,
        name,
        added_p99=outcome.latency["p99"] - direct.latency["p99"],
        added_p50=outcome.latency["p50"] - direct.latency["p50"],
        p50=outcome.latency["p50"],
        p99=outcome.latency["p99"],
        rate=rate,
        late=late,
    )


MEASUREMENT = Measurement(
    name="balancer-latency",
    title="Balancer: time added to an answer at half load",
    about=proxies.JOB,
    place=20,
    baseline=proxies.NGINX,
    metrics=(
        Metric("added_p99", "added p99", "seconds", "less", compared=True),
        Metric("added_p50", "added p50", "seconds", "less", compared=True),
        Metric("p50", "p50", "seconds", "less"),
        Metric("p99", "p99", "seconds", "less"),
        Metric("rate", "requests/s offered"),
        Metric("late", "generator late, p99", "seconds"),
    ),
    charts=(
        Chart("added_p50", "values", "Median time added by the proxy"),
        Chart("added_p99", "values", "Time added by the proxy in the slowest 1 %"),
    ),
    run=run,
)
