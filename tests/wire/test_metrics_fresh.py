"""What every program exposes right after its start, before anything has happened.

The programs are the real ones, each asked over its port. What stands in the reference must be
there, and with 0: a series that begins at its first event shows no rise at it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

import psutil
import pytest

from app.resilience import FallbackReason, Outcome, Result, Source
from monitoring.catalogue import BY_NAME, METRICS
from monitoring.console.site import ROUTES
from monitoring.reference import section_of
from shards.stored import Stored
from tests.exposition_text import Sample, parse
from tests.redis_server import RedisServer
from tests.running_stack import PROJECT, free_ports
from tests.wire.test_metrics_promtool import KNOWN_EXCEPTIONS, check
from unstable.faults import STOCK
from workers.status import REASONS

SECTIONS = {
    "app": {
        "Every program",
        "App, unstable and console",
        "Worker pools (app, balancer)",
        "App and unstable",
        "App: the call of the external service",
        "App: the store",
    },
    "balancer": {"Every program", "Worker pools (app, balancer)", "Balancer"},
    "unstable": {
        "Every program",
        "App, unstable and console",
        "App and unstable",
        "The service that fails on purpose",
    },
    "console": {"Every program", "App, unstable and console"},
}

# What goes on by itself: the CPU is used, and shards, backends and readiness are asked for.
BUSY = {"process_cpu_seconds_total", "balancer_health_checks_total", "worker_requests_total"}

KNOWN: dict[tuple[str, str], dict[str, set[str]]] = {
    ("app", "http_requests_total"): {
        "route": {"/", "/data/:id", "/healthz", "/readyz", "/metrics", "/workers"},
        "status": {"200", "500", "503"},
    },
    ("app", "external_requests_total"): {"outcome": set(Outcome)},
    ("app", "external_calls_total"): {"result": set(Result)},
    ("app", "external_retries_total"): {
        "reason": {"http_error", "timeout", "connect_error", "bad_answer"}
    },
    ("app", "answers_total"): {"source": set(Source)},
    ("app", "fallbacks_total"): {"reason": set(FallbackReason)},
    ("app", "redis_operations_total"): {
        "shard": {"redis1", "redis2"},
        "op": {"get", "set", "probe", "heal"},
        "result": {"ok", "error", "timeout"},
    },
    ("app", "redis_operation_duration_seconds"): {
        "shard": {"redis1", "redis2"},
        "op": {"get", "set", "probe", "heal"},
    },
    ("app", "store_copies_made_total"): {"why": {"hint", "read", "scan"}},
    ("app", "store_writes_total"): {"stored": set(Stored)},
    ("app", "worker_restarts_total"): {"reason": set(REASONS)},
    ("balancer", "worker_restarts_total"): {"reason": set(REASONS)},
    ("balancer", "balancer_requests_total"): {
        "backend": {"127.0.0.1:1", "127.0.0.1:2"},
        "method": {"GET", "POST"},
        "status": {"200", "502", "503", "504"},
    },
    ("balancer", "balancer_retries_total"): {
        "reason": {"connect", "reset", "stale", "protocol", "timeout", "status"}
    },
    ("balancer", "balancer_upstream_errors_total"): {
        "backend": {"127.0.0.1:1", "127.0.0.1:2"},
        "kind": {"connect", "reset", "stale", "protocol", "timeout", "status"},
    },
    ("balancer", "balancer_ejections_total"): {"backend": {"127.0.0.1:1", "127.0.0.1:2"}},
    ("balancer", "balancer_health_checks_total"): {
        "backend": {"127.0.0.1:1", "127.0.0.1:2"},
        "result": {"pass", "fail"},
    },
    ("balancer", "balancer_shed_total"): {"reason": {"in_flight", "backends", "connections"}},
    ("unstable", "faults_total"): {"kind": set(STOCK.by_kind) - {"none"}},
    ("console", "http_requests_total"): {"route": set(ROUTES)},
}


def commands(ports: dict[str, int], shard: str) -> dict[str, str]:
    return {
        "app": f"app --name app1 --listen 127.0.0.1:{ports['app']} --workers 1"
        f" --upstream http://127.0.0.1:1/data --store {shard},redis://127.0.0.1:1",
        "balancer": f"balancer --listen 127.0.0.1:{ports['door']} --backend 127.0.0.1:1"
        f" --backend 127.0.0.1:2 --admin 127.0.0.1:{ports['balancer']}",
        "unstable": f"unstable --listen 127.0.0.1:{ports['unstable']}",
        "console": f"monitoring.console --listen 127.0.0.1:{ports['console']}",
    }


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """The first exposition of each program."""
    folder = tmp_path_factory.mktemp("fresh")
    shutil.copy(PROJECT / "supervisord.conf", folder)  # the console reads it
    names = ("door", *SECTIONS)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    environ = {**os.environ, "PYTHONPATH": str(PROJECT)}
    running: list[subprocess.Popen[bytes]] = []
    with RedisServer(folder / "redis1") as shard, (folder / "log").open("wb") as log:
        try:
            for command in commands(ports, shard.url).values():
                line = [sys.executable, "-m", *command.split()]
                running.append(
                    subprocess.Popen(line, cwd=folder, env=environ, stdout=log, stderr=log)
                )
            yield {name: first_exposition(ports[name], folder / "log") for name in SECTIONS}
        finally:
            for process in running:
                workers = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                process.wait()
                for worker in workers:
                    with suppress(psutil.NoSuchProcess):  # they notice that nobody watches them
                        worker.kill()


def first_exposition(port: int, log: Path) -> bytes:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                body: bytes = answer.read()
            if b"\nprocess_start_time_seconds " in body:  # told by a task of its own
                return body
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def exposed(samples: dict[Sample, float]) -> set[str]:
    """The names as the catalogue has them."""
    names = {name for name, _labels in samples}
    histograms = {metric.name for metric in METRICS if metric.kind == "histogram"}
    endings = {f"{name}{end}": name for name in histograms for end in ("_bucket", "_count", "_sum")}
    return {endings.get(name, name) for name in names}


@pytest.mark.parametrize("program", SECTIONS)
def test_a_program_exposes_from_the_start_what_the_reference_says_it_does(
    program: str, fresh: dict[str, bytes]
):
    said = {metric.name for metric in METRICS if section_of(metric) in SECTIONS[program]}
    assert exposed(parse(fresh[program])) == said


def test_every_section_of_the_reference_is_some_programs():
    assert set().union(*SECTIONS.values()) == {section_of(metric) for metric in METRICS}


@pytest.mark.parametrize(("program", "name"), KNOWN, ids=" ".join)
def test_series_that_are_known_beforehand_are_there(
    program: str, name: str, fresh: dict[str, bytes]
):
    wanted = KNOWN[program, name]
    sample = f"{name}_count" if BY_NAME[name].kind == "histogram" else name
    there = [dict(labels) for series, labels in parse(fresh[program]) if series == sample]
    for values in product(*wanted.values()):
        labels = dict(zip(wanted, values, strict=True))
        assert any(labels.items() <= series.items() for series in there), labels


@pytest.mark.parametrize("program", SECTIONS)
def test_nothing_is_counted_before_anything_happened(program: str, fresh: dict[str, bytes]):
    counted = {
        (name, labels)
        for (name, labels), value in parse(fresh[program]).items()
        if value and name.endswith(("_total", "_count", "requests_failed"))
        if name not in BUSY | {"redis_keys_total"}  # which is a gauge
        if dict(labels).get("op") != "probe"
        if dict(labels).get("route") != "/metrics"
    }
    assert not counted


@pytest.mark.parametrize("program", SECTIONS)
def test_promtool_complains_of_nothing_but_the_inherited_names(
    program: str, fresh: dict[str, bytes]
):
    done = check(fresh[program])
    complaints = (done.stdout + done.stderr).decode().splitlines()
    there = exposed(parse(fresh[program]))
    assert {line.split()[0] for line in complaints} == KNOWN_EXCEPTIONS.keys() & there, complaints
    assert done.returncode in {0, 3}  # 3: read, and complained of
