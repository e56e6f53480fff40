"""What do the metrics cost? Our own programs against the same with nothing counted."""

from __future__ import annotations

from .. import asking, closed_loop, proxies
from ..bench import Bench, Measurement, free_port
from ..closed_loop import Request, Side
from ..peers import Contender, app, balancer, plain_app, redis, uncounted
from ..peers import backend as static_backend
from ..results import Chart

ROUNDS = 2  # of a pair
APP, BALANCER = "app, GET /", "balancer, 100 B"


def run(bench: Bench) -> None:
    backend, shards = static_backend.start(bench), redis.start(bench).urls
    bench.result.note(bench.cores.told("app worker or balancer", "wrk (32 connections)", "backend"))
    for measure in bench.effort.cases([_app, _balancer]):
        # Two processes of the same program differ by a few percent, so there are several pairs.
        for pair in range(bench.effort.cost_pairs):
            with bench.for_a_while():
                # ... and who is asked second has a warmer machine.
                measure(bench, backend, shards, (pair % 2 == 0, pair % 2 == 1))


def _app(bench: Bench, backend: Contender, shards: str, order: tuple[bool, bool]) -> None:
    upstream = f"http://127.0.0.1:{backend.port}/data"
    sides = [app.start(bench, upstream, shards, counted=counted) for counted in order]
    request = Request("/", least=80, refused=plain_app.FALLBACK["message"])
    _measure(bench, APP, request, sides)
    _check(bench, APP, sides, [one.port for one in sides], "http_requests_total")


def _balancer(bench: Bench, backend: Contender, _shards: str, order: tuple[bool, bool]) -> None:
    admins = [free_port(), free_port()]
    sides = [
        balancer.start(
            bench,
            backend.port,
            options=("--health-path", "off", "--admin", f"127.0.0.1:{admin}"),
            counted=counted,
        )
        for admin, counted in zip(admins, order, strict=True)
    ]
    _measure(bench, BALANCER, proxies.CASES["100 B"], sides)
    _check(bench, BALANCER, sides, admins, "balancer_requests_total")


def _measure(bench: Bench, case: str, request: Request, contenders: list[Contender]) -> None:
    sides = [Side(one, request) for one in contenders]
    closed_loop.measure(bench, case, sides, rounds=ROUNDS)


def _check(
    bench: Bench, case: str, contenders: list[Contender], ports: list[int], name: str
) -> None:
    """One of them counted, the other one did not; else the rows compare nothing."""
    for contender, port in zip(contenders, ports, strict=True):
        told = asking.counter(port, name)
        if bool(told) is (contender.name == uncounted.NAME):
            bench.result.refuse(case, contender.name, f"{name} says {told:.0f}")


MEASUREMENT = Measurement(
    name="metrics-cost",
    title="Metrics: what counting costs",
    about="The app and the balancer as they are, against the same programs with functions that do"
    " nothing in the place of those that count. They are to keep 97 % of the requests/s.",
    place=35,
    baseline=uncounted.NAME,
    metrics=closed_loop.METRICS,
    charts=(Chart("per_core", "ratios", "Requests/s of one core, nothing counted = 1"),),
    run=run,
)
