"""What does it take: memory, open files, time to start?"""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import closed_loop
from ..bench import Bench, Measurement
from ..closed_loop import Request
from ..peers import app, plain_app, redis
from ..peers import backend as static_backend
from ..peers.stack import Stack
from ..processes import Tree, Use
from ..results import Chart, Metric
from .app_requests import stored_id

REST, LOADED = "at rest", "after load"
ONE_REST, ONE_LOADED = f"one worker, {REST}", f"one worker, {LOADED}"
STACK = "whole stack"


def run(bench: Bench) -> None:
    with bench.for_a_while():
        _one_worker(bench)
    _whole_stack(bench)


def _one_worker(bench: Bench) -> None:
    shards = redis.start(bench)
    upstream = f"http://127.0.0.1:{static_backend.start(bench).port}/data"
    for number in range(1, bench.effort.rounds + 1):
        for start in (app.start, plain_app.start):
            bench.step(f"one worker, start {number} of {bench.effort.rounds}")
            began = time.monotonic()
            with bench.for_a_while():
                one = start(bench, upstream, shards.urls)
                ready = time.monotonic() - began
                worker = _workers(one.trees[0])[0]
                _add(bench, ONE_REST, one.name, worker.use(), ready=ready)
                run = closed_loop.run_wrk(bench, one.port, Request("/"), 1, bench.cores.load)
                if (problem := run.problem()) is not None:
                    bench.result.refuse(ONE_LOADED, one.name, problem)
                _add(bench, ONE_LOADED, one.name, worker.use())
    bench.result.note(
        "A worker after load: a second of GET / on 32 connections. Memory is the proportional set"
        " size: pages that processes share are counted once."
    )


def _whole_stack(bench: Bench) -> None:
    bench.step("starting the whole stack")
    stack = Stack(bench)
    time.sleep(2.0)
    trees = {STACK: stack.supervisord.tree, **stack.trees()}
    for name, tree in trees.items():
        if name == STACK:
            _add(bench, REST, name, tree.use(), ready=stack.ready_after)
        else:
            _add(bench, REST, name, tree.use())
    asked = _load(bench, stack.front_door, bench.step)
    for name, tree in trees.items():
        _add(bench, LOADED, name, tree.use())
    bench.result.note(
        f"The whole stack after load: {asked:,} requests through the front door, half of them"
        f" GET /, half GET /data/:id; {len(_workers(trees['app1']))} workers in each instance,"
        " console and guardian included, Prometheus and Grafana not."
    )


def _load(bench: Bench, port: int, say: Callable[[str], None]) -> int:
    """Ask until there are enough requests or the time is over; how many it were."""
    asked, end = 0, time.monotonic() + bench.effort.footprint_seconds
    record = stored_id(port)
    while asked < bench.effort.footprint_requests and time.monotonic() < end:
        for path in ("/", f"/data/{record}"):
            run = closed_loop.run_wrk(bench, port, Request(path), 1, frozenset())
            if (problem := run.problem()) is not None:
                bench.result.refuse(LOADED, STACK, problem)
                return asked
            asked += run.requests
            say(f"whole stack: {asked:,} requests")
        bench.trim_logs()
    return asked


def _workers(tree: Tree) -> list[Tree]:
    """The processes that serve: the children, or the process itself when it has none."""
    parent, *children = tree.processes()
    return [Tree(child.pid) for child in children] or [Tree(parent.pid)]


def _add(bench: Bench, case: str, name: str, use: Use, **more: float) -> None:
    bench.result.add(
        case, name, memory=use.memory, files=use.files, processes=use.processes, **more
    )


MEASUREMENT = Measurement(
    name="footprint",
    title="Footprint: memory, open files, time to start",
    about="One app worker against one process of the plain handlers, and every program of the"
    " running stack. Ready means: it answers; for the whole stack: the front door answers with"
    " live data after `supervisord` was started.",
    place=70,
    baseline=plain_app.NAME,
    metrics=(
        Metric("memory", "memory", "bytes", "less", compared=True),
        Metric("processes", "processes"),
        Metric("files", "open files", better="less"),
        Metric("ready", "ready after", "seconds", "less", compared=True),
    ),
    charts=(Chart("memory", "values", "Memory", by="contender"),),
    run=run,
)
