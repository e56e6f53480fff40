"""promtool's opinion of an exposition with every metric of the catalogue."""

from __future__ import annotations

import subprocess

from monitoring import catalogue
from monitoring.exposition import render
from monitoring.page import MetricsPage
from tests.prometheus_server import find

KNOWN_EXCEPTIONS = {
    "redis_keys_total": "a gauge; the name is the original's, which dashboards out there use",
}


def exposition() -> bytes:
    page = MetricsPage(rows=1)
    recorder = page.recorder(0)
    for metric in catalogue.METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind == "gauge":
            recorder.gauge(metric.name, **labels).set(1)
        elif metric.kind == "histogram":
            recorder.histogram(metric.name, **labels).observe(0.1)
        else:
            recorder.counter(metric.name, **labels).inc()
    return render([page])


def check(body: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [find("promtool"), "check", "metrics"], input=body, capture_output=True, check=False
    )


def test_promtool_complains_of_nothing_but_the_inherited_names():
    body = exposition()
    for metric in catalogue.METRICS:
        assert f"# TYPE {metric.name} ".encode() in body
    done = check(body)
    complaints = (done.stdout + done.stderr).decode().splitlines()
    assert {line.split()[0] for line in complaints} == KNOWN_EXCEPTIONS.keys(), complaints
    assert done.returncode in {0, 3}  # 3: read, and complained of


def test_promtool_would_complain_of_another_name():
    done = check(b"# HELP x_total Help.\n# TYPE x_total gauge\nx_total 1\n")
    assert done.returncode == 3
    assert b"x_total" in done.stdout + done.stderr
