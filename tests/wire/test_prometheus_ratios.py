"""What the ratios of the overview say at their edges, on made-up series, by promtool."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from monitoring.dashboards.__main__ import FOLDER
from tests.dashboard_queries import queries, substitute
from tests.prometheus_server import find

OVERVIEW = json.loads((FOLDER / "stack-overview.json").read_text())
EXPRESSIONS = {
    (query.panel, query.legend): substitute(query.expr, 5.0) for query in queries(OVERVIEW)
}
ERRORS = EXPRESSIONS["Errors and fallbacks", "errors"]
FALLBACKS = EXPRESSIONS["Errors and fallbacks", "fallbacks"]
ATTEMPTS = EXPRESSIONS["Attempts per call", "attempts"]
DOWN = EXPRESSIONS["Programs down", "down"]


def requests(status: str, values: str) -> dict[str, str]:
    series = f'balancer_requests_total{{job="balancer",backend="b",method="GET",status="{status}"}}'
    return {"series": series, "values": values}


def app(series: str, values: str) -> dict[str, str]:
    return {"series": series.replace("{", '{job="app",', 1), "values": values}


@pytest.mark.parametrize(
    ("expr", "series", "value"),
    [
        pytest.param(ERRORS, [], None, id="no balancer: unknown"),
        pytest.param(ERRORS, [requests("200", "7x20")], None, id="no traffic: unknown, not 0 %"),
        pytest.param(ERRORS, [requests("200", "0+5x20")], 0, id="never a 5xx: 0 %"),
        pytest.param(
            ERRORS, [requests("200", "0+5x20"), requests("503", "0+5x20")], 0.5, id="half fail"
        ),
        pytest.param(ERRORS, [requests("502", "0+5x20")], 1, id="all fail"),
        pytest.param(
            ERRORS, [requests("404", "0+5x20")], 0, id="what does not exist is no error of ours"
        ),
        pytest.param(
            FALLBACKS,
            [
                app('external_calls_total{result="fallback"}', "0+1x20"),
                app('external_calls_total{result="first_try"}', "0+3x20"),
                app('fallbacks_total{reason="deadline"}', "0+1x20"),
            ],
            0.25,
            id="one call in four falls back",
        ),
        pytest.param(
            FALLBACKS,
            [app('external_calls_total{result="first_try"}', "0+3x20")],
            0,
            id="never a fallback: 0 %",
        ),
        pytest.param(
            ATTEMPTS,
            [
                app('external_calls_total{result="after_retry"}', "0+4x20"),
                app('external_requests_total{outcome="http_error"}', "0+6x20"),
                app('external_requests_total{outcome="ok"}', "0+4x20"),
            ],
            2.5,
            id="attempts of all outcomes count",
        ),
        pytest.param(
            ATTEMPTS,
            [
                app('external_calls_total{result="after_retry"}', "100x10 0+4x9"),
                app('external_requests_total{outcome="ok"}', "300x10 0+8x9"),
            ],
            2,
            id="a counter that began anew is no traffic backwards",
        ),
        pytest.param(DOWN, [{"series": 'up{job="app"}', "values": "1x20"}], 0, id="all up"),
        pytest.param(
            DOWN,
            [
                {"series": 'up{job="app",instance="app1"}', "values": "1x20"},
                {"series": 'up{job="app",instance="app2"}', "values": "0x20"},
            ],
            1,
            id="one down",
        ),
    ],
)
def test_the_panel_shows(tmp_path, expr: str, series: list[dict[str, str]], value: float | None):
    done = promtool_test(tmp_path, expr, series, value)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_would_not_accept_another_value(tmp_path):
    assert promtool_test(tmp_path, ERRORS, [requests("502", "0+5x20")], 0.5).returncode != 0


def promtool_test(
    tmp_path: Any, expr: str, series: list[dict[str, str]], value: float | None
) -> subprocess.CompletedProcess[str]:
    expected = [] if value is None else [{"labels": "{}", "value": value}]
    case = {
        "interval": "5s",
        "input_series": series,
        "promql_expr_test": [{"expr": expr, "eval_time": "95s", "exp_samples": expected}],
    }
    file = tmp_path / "ratio.json"  # JSON is YAML
    file.write_text(json.dumps({"evaluation_interval": "5s", "tests": [case]}))
    return subprocess.run(
        [find("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
