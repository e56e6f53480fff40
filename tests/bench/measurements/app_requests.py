"""What do the app's features cost? Its two handlers against the same two written plainly."""

from __future__ import annotations

from dataclasses import replace

from .. import asking, closed_loop
from ..bench import Bench, Measurement
from ..closed_loop import Request, Side
from ..peers import Contender, app, balancer, plain_app, redis, stack
from ..peers import backend as static_backend
from ..peers.stack import Stack
from ..processes import ProgramError
from ..results import Chart

ASK, READ = "GET /", "GET /data/:id"
_ANYWHERE: frozenset[int] = frozenset()


def run(bench: Bench) -> None:
    with bench.for_a_while():
        _one_worker(bench)
    if bench.effort.is_whole:
        _whole_stack(bench)


def _one_worker(bench: Bench) -> None:
    shards = redis.start(bench)
    upstream = f"http://127.0.0.1:{static_backend.start(bench).port}/data"
    sides = [app.start(bench, upstream, shards.urls), plain_app.start(bench, upstream, shards.urls)]
    told = bench.cores.told("app worker", "wrk (32 connections)", "upstream (NGINX), two shards")
    bench.result.note(f"One worker: {told}")
    measure_routes(bench, sides, "one worker")


def _whole_stack(bench: Bench) -> None:
    """The plain handlers stand behind a balancer of their own, and share the stack's upstream and
    shards; both sides are charged with the CPU time of everything that takes part."""
    bench.step("starting the whole stack")
    ours = Stack(bench)
    trees = ours.trees()
    shared = [trees[name] for name in ("unstable", "redis1", "redis2")]
    upstream = f"http://127.0.0.1:{ours.port('UNSTABLE_PORT')}/data"
    store = ",".join(f"redis://127.0.0.1:{ours.port(f'REDIS{n}_PORT')}" for n in (1, 2))
    workers = max(1, len(bench.cores.all))
    plain = [
        plain_app.start(bench, upstream, store, workers=workers, cpus=_ANYWHERE) for _ in range(2)
    ]
    ports = [one.port for one in plain]
    door = balancer.start(
        bench,
        *ports,
        path="/ready",
        cpus=_ANYWHERE,
        options=("--health-path", "/ready"),
        compiled=balancer.is_compiled(),
    )
    sides = [
        Contender(
            app.NAME,
            ours.front_door,
            (*shared, *(trees[name] for name in ("app1", "app2", "balancer"))),
        ),
        Contender(
            plain_app.NAME,
            door.port,
            (*shared, *(tree for one in plain for tree in one.trees), *door.trees),
        ),
    ]
    bench.result.note(
        f"Whole stack: balancer, two instances of {workers} workers, {stack.UPSTREAM}, two shards,"
        " and wrk, all on all CPUs. The plain handlers stand behind the same balancer, its request"
        f" path {'compiled' if balancer.is_compiled() else 'interpreted'}."
    )
    measure_routes(bench, sides, "whole stack", load=_ANYWHERE)


def measure_routes(
    bench: Bench, contenders: list[Contender], where: str, load: frozenset[int] | None = None
) -> None:
    """`GET /`, then `GET /data/:id` of a record that each has just stored."""
    ask = Request("/", least=80, refused=plain_app.FALLBACK["message"])
    cases = {
        f"{ASK}, {where}": [Side(one, ask) for one in contenders],
        f"{READ}, {where}": [
            Side(one, replace(ask, path=f"/data/{stored_id(one.port)}")) for one in contenders
        ],
    }
    for case, sides in bench.effort.cases(list(cases.items())):
        closed_loop.measure(bench, case, sides, load)


def stored_id(port: int) -> int:
    """Of a record made now. Raises ProgramError when it was not stored."""
    record = asking.get_json(port, "/").get("id")
    if not isinstance(record, int):
        raise ProgramError(f"port {port}: GET / stored nothing")
    return record


MEASUREMENT = Measurement(
    name="app-requests",
    title="App: requests a core can answer",
    about="The app with deadline, retry, fallback, metrics, request ids and access log, against the"
    " same two handlers written plainly with aiohttp, ClientSession and redis-py's pool. The"
    " external service is healthy.",
    place=30,
    baseline=plain_app.NAME,
    metrics=closed_loop.METRICS,
    charts=(Chart("per_core", "ratios", "Requests/s of one core, plain handlers = 1"),),
    run=run,
)
