"""What does a client see while the external service fails half the time?

Open loop, a fixed rate; ours and the original's policy run at the same time, each against an
unstable service of its own with the same seed, so that the n-th upstream call of both meets the
same luck; and in a whole run the whole stack, through its front door, with one of its own. Waiting
is what takes the time here, so side by side is as fair as one after the other.
"""

from __future__ import annotations

import http.client
import json
import time
from contextlib import ExitStack

from .. import asking, paced_load
from ..bench import Bench, Measurement
from ..paced import Outcome, Plan
from ..peers import app, plain_app, redis, unstable
from ..peers.stack import Stack
from ..processes import ProgramError
from ..results import Chart, Metric

CASE = "stock faults"
OUTAGE = "outage: it takes requests and never answers"
ORIGINAL = "the original's policy"
WHOLE_STACK = "ours, whole stack"
RATE = 80.0  # requests a second; no queue anywhere
_ORIGINALS = ("--tries", "4", "--attempt-timeout", "2")


def run(bench: Bench) -> None:
    shards = redis.start(bench)
    stack = Stack(bench, calm=False) if bench.effort.is_whole else None
    for number in range(1, bench.effort.resilience_rounds + 1):
        bench.step(f"round {number} of {bench.effort.resilience_rounds}")
        with bench.for_a_while():
            _round(bench, shards.urls, stack, number)
            _outage(bench, shards.urls, number)
    seconds = bench.effort.resilience_seconds
    bench.result.note(
        f"{RATE:.0f} requests/s for {seconds:.0f} s a round, one worker each. 30 % of upstream"
        " calls fail and 30 % of the rest come 3 s late, so one real answer takes at least"
        " 1/0.49 = 2.04 upstream calls."
    )


def _round(bench: Bench, store: str, stack: Stack | None, seed: int) -> None:
    services = [unstable.start(bench, seed) for _ in range(2)]
    urls = [f"http://127.0.0.1:{service.port}/data" for service in services]
    original = plain_app.start(bench, urls[1], store, options=_ORIGINALS)
    # Name, where it is asked, and where its upstream calls are counted.
    sides = [
        ("ours", app.start(bench, urls[0], store).port, services[0].port),
        (ORIGINAL, original.port, services[1].port),
    ]
    if stack is not None:
        sides.append((WHOLE_STACK, stack.front_door, stack.port("UNSTABLE_PORT")))
    before = [_upstream_calls(service) for _name, _port, service in sides]
    with ExitStack() as entered:
        loads = [entered.enter_context(_load(bench, port, seed)) for _name, port, _ in sides]
        outcomes = [load.outcome() for load in loads]
    for (name, _port, service), outcome, calls in zip(sides, outcomes, before, strict=True):
        _record(bench, name, outcome, _upstream_calls(service) - calls)


def _outage(bench: Bench, store: str, seed: int) -> None:
    """Ours, two workers: the service hangs; figures from a second after the first fallback on."""
    service = unstable.start(bench, seed)
    side = app.start(bench, f"http://127.0.0.1:{service.port}/data", store, workers=2)
    with _load(bench, side.port, seed, seconds=2.5) as load:
        load.outcome()
    _faults(service.port, {"failure_rate": 0.0, "hang_rate": 1.0})
    with _load(bench, side.port, seed, seconds=4.0) as load:  # the breaker opens
        load.outcome()
    probes = asking.counter(side.port, "external_probes_total")
    calls, since = _upstream_calls(service.port), time.monotonic()
    with _load(bench, side.port, seed) as load:
        outcome = load.outcome()
    took = time.monotonic() - since
    probes = asking.counter(side.port, "external_probes_total") - probes
    calls = _upstream_calls(service.port) - calls
    _faults(service.port, None)
    began = time.monotonic()
    while asking.get_json(side.port, "/").get("source") != "live":
        if time.monotonic() - began > 10:
            bench.result.refuse(OUTAGE, side.name, "real data did not come back within 10 s")
            return
        time.sleep(0.01)
    back = time.monotonic() - began
    if (problem := outcome.problem()) is not None:
        bench.result.refuse(OUTAGE, side.name, problem)
        return
    bench.result.add(
        OUTAGE,
        side.name,
        mean=outcome.mean,
        p50=outcome.latency["p50"],
        p99=outcome.latency["p99"],
        fallbacks=outcome.marked / outcome.answered,
        probes=probes / took,
        outage_calls=calls / took,
        back=back,
    )


def _faults(port: int, rates: dict[str, float] | None) -> None:
    """Set the faults of the unstable service; None: as it was started."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(
            "DELETE" if rates is None else "PUT",
            "/faults",
            None if rates is None else json.dumps(rates),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise ProgramError(f"/faults answered {answer.status}: {answer.read()[:200]!r}")
    finally:
        connection.close()


def _load(bench: Bench, port: int, seed: int, seconds: float | None = None) -> paced_load.PacedLoad:
    plan = Plan(
        port=port,
        request=paced_load.head("/"),
        rate=RATE,
        seconds=seconds or bench.effort.resilience_seconds,
        connections=900,  # 80/s, each taking at most 8 s
        seed=seed,
        mark=plain_app.FALLBACK["message"],
    )
    return paced_load.PacedLoad(plan, bench.cores.load)


def _upstream_calls(port: int) -> float:
    return asking.counter(port, "http_requests_total", route="/data")


def _record(bench: Bench, name: str, outcome: Outcome, calls: float) -> None:
    if (problem := outcome.problem()) is not None:
        bench.result.refuse(CASE, name, problem)
        return
    bench.result.add(
        CASE,
        name,
        mean=outcome.mean,
        p50=outcome.latency["p50"],
        p99=outcome.latency["p99"],
        fallbacks=outcome.marked / outcome.answered,
        calls=calls / outcome.answered,
    )


MEASUREMENT = Measurement(
    name="resilience",
    title="Resilience: GET / with the stock faults",
    about="Ours against the policy of the Node.js original (up to three more tries at once, 2 s"
    " each, then the fallback), asked by the same harness.",
    place=50,
    baseline=ORIGINAL,
    metrics=(
        Metric("mean", "mean", "seconds", "less", compared=True),
        Metric("p50", "p50", "seconds", "less", compared=True),
        Metric("p99", "p99", "seconds", "less", compared=True),
        Metric("fallbacks", "fallbacks", "share", "less", compared=True),
        Metric("calls", "upstream calls per request", better="less", compared=True),
        Metric("probes", "probes/s while it is out", better="less"),
        Metric("outage_calls", "upstream calls/s while it is out", better="less"),
        Metric("back", "to real data again", "seconds", "less"),
    ),
    charts=(
        Chart("mean", "values", "Mean time of an answer"),
        Chart("p99", "values", "Slowest 1 % of answers"),
        Chart("fallbacks", "values", "Share of fallbacks"),
    ),
    run=run,
)
