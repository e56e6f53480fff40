"""Every query of every dashboard returns data from the stack's own Prometheus."""

from __future__ import annotations

import json
import threading

import pytest

from tests.dashboard_queries import settled_problems
from tests.running_stack import PROJECT, RunningStack

DASHBOARDS = sorted((PROJECT / "monitoring" / "grafana" / "dashboards").glob("*.json"))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data_while_there_is_traffic(stack: RunningStack, path):
    url = f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}"
    done = threading.Event()

    def traffic() -> None:
        while not done.wait(0.1):
            stack.gets(["/", "/data/1234"])

    client = threading.Thread(target=traffic)
    client.start()
    try:
        found = settled_problems(url, json.loads(path.read_text()), seconds=60, scrape_seconds=5)
    finally:
        done.set()
        client.join()
    assert not found, "\n".join(map(str, found))


def test_every_target_is_scraped(stack: RunningStack):
    targets = stack.get("/api/v1/targets", "PROMETHEUS_PORT").json["data"]["activeTargets"]
    assert {target["labels"]["instance"] for target in targets} >= {
        "app1", "app2", "balancer", "unstable", "console", "prometheus",
    }  # fmt: skip
    assert {target["health"] for target in targets} == {"up"}
