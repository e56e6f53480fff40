"""Every alert rule, by promtool: it fires when its fault is there and is silent when it is not."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import promql
from tests.prometheus_server import ROOT, find
from tests.wire.test_redis_exporter import EXPORTED
from workers.status import REASONS

RULES = ROOT / "monitoring" / "prometheus" / "alerts.yml"
ALERTS = re.findall(r"- alert: (\w+)", RULES.read_text())
RECORDED = set(re.findall(r"- record: (\S+)", RULES.read_text()))


@dataclass(frozen=True)
class Case:
    """Series as promtool writes them, one sample every 5 s; the alert is looked for after 2 min.

    `healthy` is no empty page: it comes as near to the fault as may be without being one.
    """

    healthy: dict[str, str]
    faulty: dict[str, str]


UP = "1x60"
OK = 'balancer_requests_total{backend="a",status="200"}'
BAD = 'balancer_requests_total{backend="a",status="502"}'
UP_A, UP_B = 'balancer_backend_up{backend="a"}', 'balancer_backend_up{backend="b"}'
OUT_A, OUT_B = 'balancer_backend_ejected{backend="a"}', 'balancer_backend_ejected{backend="b"}'
KILLED = 'worker_restarts_total{instance="app1",reason="%s"}'
SLOW = 'balancer_request_duration_seconds_bucket{le="%s"}'
HINTS = 'store_hints{instance="%s",shard="redis1"}'
TAKES = 'redis_shard_takes_writes{instance="%s",shard="redis1"}'
SHARD = 'redis_shard_up{instance="%s",shard="redis1"}'
REDIS = 'redis_%s{job="redis",instance="%s"}'
CALLS, FALLBACKS = 'external_calls_total{result="x"}', 'fallbacks_total{reason="deadline"}'

CASES = {
    "StackProgramDown": Case(
        {'up{job="app",instance="app1"}': UP, 'up{job="unstable",instance="unstable"}': "0x60"},
        {'up{job="app",instance="app1"}': "1x10 0x50"},
    ),
    "StackExternalServiceDown": Case(
        {'up{job="unstable"}': UP, 'up{job="app",instance="app1"}': "0x60"},
        {'up{job="unstable"}': "1x10 0x50"},
    ),
    "StackAllBackendsOut": Case(
        {UP_A: "0x60", UP_B: UP, OUT_A: "0x60", OUT_B: "0x60"},
        {UP_A: "0x60", UP_B: UP, OUT_A: "0x60", OUT_B: "0x10 1x50"},
    ),
    "StackBackendOut": Case(
        {UP_A: "1x5 0 1x54", OUT_A: "0x5 1 0x54"},  # for one scrape only
        {UP_A: UP, OUT_A: "0x10 1x50"},
    ),
    "StackProgramRestarts": Case(
        {'process_start_time_seconds{instance="app1"}': "100x20 200x40"},
        {'process_start_time_seconds{instance="app1"}': "100x4 200x4 300x4 400x48"},
    ),
    "StackWorkersCrash": Case(
        {KILLED % "recycle": "0+2x60", KILLED % "crash": "0x20 1x40"},
        {KILLED % "crash": "0+1x60"},
    ),
    "StackErrorBudgetBurns": Case(
        {OK: "0+1000x60", BAD: "0+5x60"},
        {OK: "0+1000x60", BAD: "0+50x60"},
    ),
    "StackClientsSeeErrors": Case(
        {OK: "0+1000x60", BAD: "0+5x60"},
        {OK: "0+1000x60", BAD: "0+20x60"},
    ),
    "StackClientsWait": Case(
        {SLOW % "2.5": "0+100x60", SLOW % "5.0": "0+100x60", SLOW % "+Inf": "0+100x60"},
        {SLOW % "2.5": "0+80x60", SLOW % "5.0": "0+100x60", SLOW % "+Inf": "0+100x60"},
    ),
    "StackRequestsTurnedAway": Case(
        {'balancer_shed_total{reason="overload"}': "0+1x60", "http_requests_shed_total": "0x60"},
        {"http_requests_shed_total": "0+50x60"},
    ),
    "StackBreakerOpen": Case(
        {'external_breaker_state{job="app",instance="app1"}': "0x60"},
        {'external_breaker_state{job="app",instance="app1"}': "0x10 1x5 2 1x45"},
    ),
    "StackManyFallbacks": Case(
        {CALLS: "0+100x60", FALLBACKS: "0+5x60"},
        {CALLS: "0+100x60", FALLBACKS: "0+50x60"},
    ),
    "StackRetryBudgetExhausted": Case(
        {"balancer_retry_budget_exhausted_total": "0+1x60"},
        {"balancer_retry_budget_exhausted_total": "0+50x60"},
    ),
    "StackShardDown": Case(
        {SHARD % "app1": "0x60", SHARD % "app2": UP},  # one of the two reaches it
        {SHARD % "app1": "1x10 0x50", SHARD % "app2": "1x10 0x50"},
    ),
    "StackShardTakesNoWrites": Case(
        {TAKES % "app1": "0x60", SHARD % "app1": "0x60"},  # it is down, which has its own
        {TAKES % "app1": UP, TAKES % "app2": "1x10 0x50", SHARD % "app1": UP},
    ),
    "StackWritesLost": Case(
        {'store_writes_total{stored="none"}': "7x60"},
        {'store_writes_total{stored="none"}': "7+1x60"},
    ),
    "StackCopiesMissing": Case(
        {HINTS % "app1": "0x60", HINTS % "app2": "0x60"},
        {HINTS % "app1": "0x10 5x50", HINTS % "app2": "0x60"},
    ),
    "StackRedisUnwatched": Case(
        {'up{job="redis",instance="redis1"}': "1x5 0 1x54"},  # for one scrape only
        {'up{job="redis",instance="redis1"}': "1x10 0x50"},
    ),
    "StackShardNearlyFull": Case(
        {
            REDIS % ("memory_used_bytes", "redis1"): "89x60",
            REDIS % ("memory_max_bytes", "redis1"): "100x60",
            REDIS % ("memory_used_bytes", "redis2"): "89x60",  # which has no limit
            REDIS % ("memory_max_bytes", "redis2"): "0x60",
        },
        {
            REDIS % ("memory_used_bytes", "redis1"): "80x10 91x50",
            REDIS % ("memory_max_bytes", "redis1"): "100x60",
        },
    ),
    "StackShardCannotWrite": Case(
        {REDIS % ("aof_last_write_status", "redis1"): UP},
        {REDIS % ("aof_last_write_status", "redis1"): "1x10 0x50"},
    ),
    "StackShardCannotRewrite": Case(
        {REDIS % ("aof_last_bgrewrite_status", "redis1"): UP},
        {REDIS % ("aof_last_bgrewrite_status", "redis1"): "1x10 0x50"},
    ),
}


def test_every_alert_is_tested_both_ways():
    assert sorted(CASES) == sorted(ALERTS)


def test_each_alert_fires_when_its_fault_is_there(tmp_path):
    assert promtool_test(tmp_path, grouped(firing=True)) == ""


def test_no_alert_fires_without_its_fault(tmp_path):
    assert promtool_test(tmp_path, grouped(firing=False)) == ""


@pytest.mark.parametrize("firing", [True, False])
def test_promtool_would_say_so_if_one_did_the_other(tmp_path, firing):
    swapped = group({"StackWritesLost": CASES["StackWritesLost"]}, firing=firing)
    swapped["promql_expr_test"][0]["exp_samples"] = [] if firing else fired("StackWritesLost")
    assert "FAILED" in promtool_test(tmp_path, [swapped])


def grouped(*, firing: bool) -> list[dict[str, Any]]:
    """The cases in as few databases as keep the metrics of one away from those of another:
    promtool starts one for each group, which takes longer than what is tested."""
    groups: list[dict[str, Case]] = []
    for name, case in CASES.items():
        for others in groups:
            if not any(metrics(case) & metrics(other) for other in others.values()):
                others[name] = case
                break
        else:
            groups.append({name: case})
    return [group(cases, firing=firing) for cases in groups]


def metrics(case: Case) -> set[str]:
    return {key.partition("{")[0] for key in {**case.healthy, **case.faulty}}


def group(cases: dict[str, Case], *, firing: bool) -> dict[str, Any]:
    series = {
        key: values
        for case in cases.values()
        for key, values in (case.faulty if firing else case.healthy).items()
    }
    return {
        "interval": "5s",
        "input_series": [{"series": key, "values": value} for key, value in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}})',
                "eval_time": "2m",
                "exp_samples": fired(name) if firing else [],
            }
            for name in cases
        ],
    }


def fired(name: str) -> list[dict[str, Any]]:
    return [{"labels": f'{{alertname="{name}"}}', "value": 1}]


def promtool_test(tmp_path: Path, cases: list[dict[str, Any]]) -> str:
    """What promtool says against it; nothing when all is as expected."""
    file = tmp_path / "tests.json"  # JSON is YAML
    tests = {"rule_files": [str(RULES)], "evaluation_interval": "5s", "tests": cases}
    file.write_text(json.dumps(tests))
    done = subprocess.run(
        [find("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def rules() -> list[tuple[str, str]]:
    """(name, expression) of every rule, by promtool-checked layout: one `expr` follows a name."""
    found = re.findall(
        r"- (?:alert|record): (\S+)\n\s+expr: (>-\n(?:\s{10}.*\n)+|.*\n)", RULES.read_text()
    )
    return [(name, expr.removeprefix(">-")) for name, expr in found]


def test_every_rule_is_read_here():
    assert [name for name, _expr in rules() if name in ALERTS] == ALERTS
    assert {name for name, _expr in rules()} - set(ALERTS) == RECORDED


@pytest.mark.parametrize(("name", "expr"), rules(), ids=[name for name, _ in rules()])
def test_a_rule_reads_only_metrics_and_labels_of_the_catalogue(name: str, expr: str):
    for recorded in RECORDED:
        expr = expr.replace(recorded, "up")
    known = {"job", "instance"}
    for metric in promql.metric_names(expr) - {"up"} - EXPORTED:
        line = promql.catalogued(metric)
        assert line is not None, metric
        known |= set(line.labels) | ({"le"} if line.kind == "histogram" else set())
    assert promql.labels(expr) <= known


def test_the_reasons_that_an_alert_asks_for_are_those_that_workers_count():
    (asked,) = re.findall(r'reason=~"([^"]+)"', RULES.read_text())
    assert set(asked.split("|")) < set(REASONS)


def test_every_alert_says_what_is_wrong_in_sentences_and_how_bad_it_is():
    text = RULES.read_text()
    said = re.findall(r"summary: (.*)\n\s+description: (.*)\n", text)
    assert len(said) == len(ALERTS)
    for summary, description in said:
        assert summary.endswith(".")
        assert description.strip('"').endswith((".", ")"))
    severities = re.findall(r"severity: (\w+)\}", text)
    assert len(severities) == len(ALERTS)
    assert set(severities) == {"critical", "warning", "info"}
    assert all(name.startswith("Stack") for name in ALERTS)


def test_prometheus_loads_the_rules():
    configuration = (ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text()
    assert re.search(rf"^rule_files:\n  - {RULES.name}$", configuration, re.MULTILINE)


def test_no_window_is_shorter_than_four_scrapes_or_longer_than_what_is_kept():
    """Prometheus 3 leaves out the sample at a window's left end."""
    for _name, expr in rules():
        assert set(promql.ranges(expr)) <= {"1m", "5m", "30m", "1h", "6h"}
