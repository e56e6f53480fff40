"""Every query of every dashboard, run by a real Prometheus that scrapes real pages.

The pages are served by small servers that count what the stack's programs count; the stack itself
is asked the same questions in tests/system.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitoring.dashboards.__main__ import BOARDS, FOLDER
from monitoring.exposition import CONTENT_TYPE, render
from monitoring.page import MetricsPage, Recorder
from monitoring.process import report_process
from monitoring.topology import relocate
from tests.dashboard_queries import problems, queries, settled_problems
from tests.prometheus_server import ROOT, free_port, running_prometheus

CONFIG = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
BACKENDS = ("127.0.0.1:3000", "127.0.0.1:3001")
Traffic = Callable[[Recorder], None]


def balancer(page: Recorder) -> None:
    for backend in BACKENDS:
        for status in ("200", "404"):
            page.counter(
                "balancer_requests_total", backend=backend, method="GET", status=status
            ).inc()
        page.histogram("balancer_request_duration_seconds", backend=backend).observe(0.004)
        page.gauge("balancer_backend_up", backend=backend).set(1)
        page.gauge("balancer_requests_in_flight", backend=backend).set(2)
        for name in ("backend_limit", "backend_ejected", "backend_draining"):
            page.gauge(f"balancer_{name}", backend=backend).set(0)
        page.counter("balancer_ejections_total", backend=backend)
        page.counter("balancer_upstream_errors_total", backend=backend, kind="reset").inc()
        page.counter("balancer_health_checks_total", backend=backend, result="ok").inc()
    page.counter("balancer_retries_total", reason="reset").inc()
    page.counter("balancer_shed_total", reason="connections")
    for name in ("retry_budget_exhausted_total", "client_disconnects_total"):
        page.counter(f"balancer_{name}")
    for name in ("retry_budget_left", "tunnels"):
        page.gauge(f"balancer_{name}").set(1)
    page.gauge("balancer_connections", side="client").set(3)
    page.gauge("workers", state="ready").set(1)


def app(page: Recorder) -> None:
    page.counter("requests_total").inc()
    page.counter("requests_failed")
    page.counter("http_requests_total", method="GET", route="/", status="200").inc()
    for result in ("first_try", "after_retry"):
        page.counter("external_calls_total", result=result).inc()
    page.counter("external_requests_total", outcome="ok").inc(2)
    page.counter("external_requests_total", outcome="http_error").inc()
    for shard in ("redis1", "redis2"):
        for name in ("redis_shard_up", "redis_shard_takes_writes"):
            page.gauge(name, shard=shard).set(1)
        page.gauge("redis_keys_total", shard=shard).inc()
        for name in ("store_hints", "store_scan_records", "store_scan_records_expected"):
            page.gauge(name, shard=shard).set(0)
        page.counter("redis_operations_total", shard=shard, op="get", result="ok").inc()
        page.histogram("redis_operation_duration_seconds", shard=shard, op="get").observe(0.001)
    page.counter("store_writes_total", stored="replicated").inc()
    page.counter("store_copies_made_total", why="hint")
    page.counter("answers_total", source="live").inc()
    page.counter("fallbacks_total", reason="deadline")
    page.counter("external_retries_total", reason="http_error").inc()
    page.histogram("external_request_duration_seconds").observe(0.02)
    for name in ("external_hedges_total", "external_probes_total", "http_requests_shed_total"):
        page.counter(name)
    for name in ("external_hedge_delay_seconds", "external_breaker_state"):
        page.gauge(name).set(0)
    for name in ("http_requests_limit", "http_requests_in_flight"):
        page.gauge(name).set(1)
    page.gauge("workers", state="ready").set(1)
    page.counter("worker_requests_total", slot="0").inc()
    page.counter("worker_restarts_total", reason="crash")


def unstable(page: Recorder) -> None:
    page.counter("requests_total").inc(3)
    page.counter("failures_total").inc()
    page.counter("delays_total").inc()
    page.counter("faults_total", kind="error").inc()


def idle(_page: Recorder) -> None:
    """The console: only what every process reports."""


PROGRAMS: dict[int, Traffic] = {  # by default port
    8082: balancer,
    3000: app,
    3001: app,
    4000: unstable,
    8081: idle,
}


@asynccontextmanager
async def serving(traffic: Traffic, folder: Path) -> AsyncIterator[int]:
    """A program that has traffic twenty times a second. Yields its port."""
    page = MetricsPage(folder / f"{traffic.__name__}-{time.monotonic_ns()}")
    recorder = page.recorder(0)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=render([page]), headers={"Content-Type": CONTENT_TYPE})

    async def busy() -> None:
        while True:
            traffic(recorder)
            await asyncio.sleep(0.05)

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    tasks = [
        asyncio.create_task(busy()),
        asyncio.create_task(report_process(recorder, started=time.time())),
    ]
    try:
        yield runner.addresses[0][1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


def configuration(folder: Path, moves: dict[int, int]) -> Path:
    """Ours, with moved ports, scraping every second instead of every five."""
    text = relocate(CONFIG.read_text(), moves)
    path = folder / "prometheus.yml"
    path.write_text(text.replace("_interval: 5s", "_interval: 1s"))
    shutil.copy(CONFIG.parent / "alerts.yml", folder)
    return path


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def targets(url: str) -> dict[str, str]:
    """Health of each target by its instance."""
    active = get(f"{url}/api/v1/targets")["activeTargets"]
    return {target["labels"]["instance"]: target["health"] for target in active}


def complaints(config: Path, folder: Path, port: int) -> list[str]:
    """Run Prometheus until every query draws something, or 30 s; what is wrong then."""
    found = []
    with running_prometheus(config, folder, port) as url:
        for board in BOARDS:
            dashboard = json.loads((FOLDER / f"{board.uid}.json").read_text())
            found += settled_problems(url, dashboard, seconds=30, scrape_seconds=1)
        health = targets(url)
        rules = [rule for group in get(f"{url}/api/v1/rules")["groups"] for rule in group["rules"]]
    assert rules
    failing = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]
    assert set(health) == {"balancer", "app1", "app2", "unstable", "console", "prometheus"}
    down = {name: state for name, state in health.items() if state != "up"}
    return [*map(str, found), *failing, *map(str, down.items())]


async def test_every_query_of_every_dashboard_draws_something(tmp_path: Path):
    async with AsyncExitStack() as programs:
        moves = {9090: free_port()}
        for port, traffic in PROGRAMS.items():
            moves[port] = await programs.enter_async_context(serving(traffic, tmp_path))
        config = configuration(tmp_path, moves)
        found = await asyncio.to_thread(complaints, config, tmp_path, moves[9090])
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def empty_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """It scrapes nothing."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    with running_prometheus(folder / "prometheus.yml", folder, free_port()) as url:
        yield url


def test_a_dashboard_without_data_is_reported_query_by_query(empty_prometheus: str):
    dashboard = json.loads((FOLDER / "stack-overview.json").read_text())
    found = problems(empty_prometheus, dashboard)
    assert {problem.reason for problem in found} == {"no data"}
    assert {problem.query for problem in found} == {
        query for query in queries(dashboard) if query.panel != "Programs down"
    }


@pytest.mark.parametrize(
    ("expr", "legend", "reason"),
    [
        ("sum(", "x", "parse error"),
        ("rate(up[$__unknown])", "x", "bad"),
        ("vector(0) / 0", "x", "no finite value"),
        ("vector(1) / (floor(vector(time()) / 5) % 2)", "x", "an infinite value"),
        ("vector(1)", "{{shard}}", "the legend names shard"),
    ],
)
def test_a_query_that_draws_nonsense_is_reported(
    empty_prometheus: str, expr: str, legend: str, reason: str
):
    (problem,) = problems(empty_prometheus, one_panel(expr, legend))
    assert reason in problem.reason
    assert str(problem).startswith("Panel: ")


def test_gaps_in_a_line_are_no_problem(empty_prometheus: str):
    expr = f"vector(1) * ({time.time()} - vector(time()) > 30 or vector(0) / 0)"
    assert problems(empty_prometheus, one_panel(expr, "x")) == []


def test_a_prometheus_that_does_not_answer_is_a_problem_of_every_query():
    (problem,) = problems(f"http://127.0.0.1:{free_port()}", one_panel("up", "x"))
    assert "does not answer" in problem.reason


def one_panel(expr: str, legend: str) -> dict[str, Any]:
    """A dashboard whose one panel lies in a collapsed row."""
    panel = {"title": "Panel", "targets": [{"expr": expr, "legendFormat": legend}]}
    return {"panels": [{"title": "Row", "panels": [panel]}], "annotations": {"list": []}}
