"""The dashboards: what is committed is what the source says, and keeps the rules of the house.

The rules are those of Grafana's own dashboard linter, which is a Go program, and a few more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from monitoring import catalogue
from monitoring.dashboards import sdk
from monitoring.dashboards.__main__ import BOARDS, FOLDER
from monitoring.dashboards.board import to_json
from tests import promql
from tests.dashboard_queries import PanelQuery, queries

FILES = {board.uid: FOLDER / f"{board.uid}.json" for board in BOARDS}
DASHBOARDS: dict[str, dict[str, Any]] = {
    uid: json.loads(file.read_text()) for uid, file in FILES.items()
}

# Prometheus makes these itself at every scrape.
OF_PROMETHEUS = {
    "up": {"job", "instance"},
    "scrape_duration_seconds": {"job", "instance"},
}
# Numbers since the first start, wanted as such; everywhere else a counter is only good for rates.
RAW_COUNTERS = {
    ("Requests total", "requests_total"),
    ("Failed requests total", "requests_failed"),
    ("Failures total", "failures_total"),
    ("Delays total", "delays_total"),
}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


PANELS = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in DASHBOARDS.items()
    for panel in panels(dashboard)
]
QUERIES = [
    pytest.param(query, id=f"{uid}: {query.panel}: {query.legend}")
    for uid, dashboard in DASHBOARDS.items()
    for query in queries(dashboard)
]
every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS)
every_query = pytest.mark.parametrize("query", QUERIES)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_committed_json_is_what_the_source_makes(board):
    assert FILES[board.uid].read_text() == to_json(board), "run: python -m monitoring.dashboards"


def test_no_dashboard_is_there_without_a_source():
    assert {file.name for file in FOLDER.iterdir()} == {file.name for file in FILES.values()}


@every_dashboard
def test_a_dashboard_holds_nothing_that_grafana_would_not_know(dashboard):
    """Reading drops unknown keys, so a misspelt one would be missing afterwards."""
    assert reread(dashboard) == dashboard


@pytest.mark.parametrize("where", ["dashboard", "panel", "options", "target"])
def test_a_misspelt_key_would_be_noticed(where):
    dashboard = json.loads(to_json(BOARDS[0]))
    panel = panels(dashboard)[0]
    place = {
        "dashboard": dashboard,
        "panel": panel,
        "options": panel["options"],
        "target": panel["targets"][0],
    }[where]
    place["descripton"] = "x"
    assert reread(dashboard) != dashboard


def reread(dashboard: dict[str, Any]) -> Any:
    register_default_plugins()  # else queries and panel options are passed on unread
    model = sdk.models.Dashboard.from_json(dashboard)
    return json.loads(json.dumps(model, cls=sdk.JSONEncoder))


@every_dashboard
def test_a_dashboard_is_provisioned_as_it_is_without_anything_to_fill_in(dashboard):
    text = json.dumps(dashboard)
    assert "__inputs" not in text
    assert "__requires" not in text
    assert "${DS_" not in text
    assert dashboard["editable"] is False
    assert dashboard.get("id") is None  # given by each Grafana


@every_dashboard
def test_the_one_variable_for_the_data_source_is_used_everywhere(dashboard):
    variables = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    assert [(v["name"], v["query"]) for v in variables] == [("datasource", "prometheus")]
    assert set(data_sources(dashboard)) == {"${datasource}"}


def data_sources(node: Any) -> Iterator[str]:
    """The uid of every `datasource` in the dashboard, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get("datasource"), dict):
            yield node["datasource"]["uid"]
        for value in node.values():
            yield from data_sources(value)
    if isinstance(node, list):
        for value in node:
            yield from data_sources(value)


@every_dashboard
def test_titles_and_ids_are_given_once(dashboard):
    ids = [panel["id"] for panel in dashboard["panels"]]
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


def test_no_two_dashboards_have_the_same_uid_or_title():
    assert len(FILES) == len(BOARDS)
    assert len({dashboard["title"] for dashboard in DASHBOARDS.values()}) == len(BOARDS)


@every_dashboard
def test_no_panel_lies_over_another_or_beyond_the_edge(dashboard):
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24, panel["title"]
        for x, y in product(range(grid["w"]), range(grid["h"])):
            below = taken.setdefault((grid["x"] + x, grid["y"] + y), panel["title"])
            assert below == panel["title"], f"{panel['title']} lies over {below}"


@every_panel
def test_a_panel_has_a_title_a_known_unit_and_a_query(panel):
    known = {value for name, value in vars(sdk.units).items() if isinstance(value, str)}
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"] in known
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@every_panel
def test_a_panel_says_what_is_normal_in_whole_sentences(panel):
    assert "Normal: " in panel["description"]
    assert panel["description"].endswith(".")
    assert len(panel["description"].split()) >= 12


@every_panel
def test_a_panel_says_so_when_there_is_nothing_to_show(panel):
    assert panel["fieldConfig"]["defaults"]["noValue"] in {"no data", "no traffic"}


@every_query
def test_a_query_reads_only_metrics_of_the_catalogue(query: PanelQuery):
    names = promql.metric_names(query.expr)
    assert names
    for name in names:
        assert name in OF_PROMETHEUS or promql.catalogued(name), name


@every_query
def test_a_query_names_only_labels_that_its_metrics_have(query: PanelQuery):
    known = {"job", "instance"}
    for name in promql.metric_names(query.expr):
        metric = promql.catalogued(name)
        known |= OF_PROMETHEUS.get(name, set()) if metric is None else set(metric.labels)
        if name.endswith("_bucket"):
            known.add("le")
    assert promql.labels(query.expr) <= known


@every_query
def test_a_rate_is_taken_over_the_interval_that_fits_the_scrapes(query: PanelQuery):
    assert set(promql.ranges(query.expr)) <= {"$__rate_interval"}


@every_query
def test_a_counter_is_shown_as_a_rate_and_a_gauge_never_is(query: PanelQuery):
    rated = promql.rated(query.expr)
    for name in promql.metric_names(query.expr) - set(OF_PROMETHEUS):
        metric = promql.catalogued(name)
        assert metric is not None
        counts = metric.kind != "gauge"
        assert (name in rated) == (counts and (query.panel, name) not in RAW_COUNTERS), name


@every_query
def test_every_line_has_a_name_that_tells_it_from_the_others(query: PanelQuery):
    named = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", query.legend))
    assert query.legend
    assert "instance" in named or named == promql.kept_labels(query.expr) - {"le"}


# Good to have on a page of metrics, and no panel would be read for them.
NOT_SHOWN = {
    "fault_rate",  # the live page's
    "balancer_backend_weight",
    "balancer_changes_serial",
    "http_request_duration_seconds",  # at the balancer, that is what clients see
    "process_start_time_seconds",  # every board's vertical lines
}


def test_every_metric_of_the_catalogue_has_a_panel_or_a_reason_to_have_none():
    shown = {
        metric.name
        for dashboard in DASHBOARDS.values()
        for panel in panels(dashboard)
        for target in panel["targets"]
        for name in promql.metric_names(target["expr"])
        if (metric := promql.catalogued(name))
    }
    assert set(catalogue.BY_NAME) - shown == NOT_SHOWN


@pytest.mark.parametrize(
    "metric",
    [
        "requests_total",
        "failures_total",
        "delays_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "uptime_seconds",
        "redis_keys_total",
        "balancer_requests_total",
    ],
)
def test_the_overview_shows_what_users_expect_of_it(metric):
    shown = {
        name
        for query in queries(DASHBOARDS["stack-overview"])
        for name in promql.metric_names(query.expr)
    }
    assert metric in shown
