"""One look at a running Grafana, finding by finding. Edge."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from ..stack.finding import Finding
from .grafana_api import GrafanaApi, GrafanaError
from .panel_queries import Panel, error_in, has_data, panels, query

DATASOURCE = "prometheus"  # its uid in monitoring/grafana/provisioning
DASHBOARDS = Path(__file__).parent.parent / "grafana" / "dashboards"

_START = "supervisorctl start grafana, after make grafana where it is not installed"
_RELOAD = "supervisorctl restart grafana, and look into var/log/grafana.log for provisioning"
_WAIT = "let some requests come in and ask again"
_SIGN_IN = "name the password: --password, or GF_SECURITY_ADMIN_PASSWORD"
_REFUSED = (401, 403)


async def verify(api: GrafanaApi, minutes: float) -> AsyncIterator[Finding]:
    """Ends early where nothing more could be seen.

    Args:
        minutes: how far each panel looks back.
    """
    try:
        health = await api.get("/api/health")
        if not isinstance(health, dict) or health.get("database") != "ok":
            yield Finding("grafana", "problem", f"is not well: {health}", _RELOAD)
            return
        yield Finding("grafana", "ok", f"{health.get('version', 'of no version')}, {api.url}")
    except GrafanaError as error:
        yield Finding("grafana", "problem", f"{api.url} {error}".replace(" /", "/", 1), _START)
        return
    try:
        yield await _datasource(api)
        listed = await api.get("/api/search?type=dash-db&limit=5000")
    except GrafanaError as error:
        fix = _SIGN_IN if error.status in _REFUSED else _RELOAD
        yield Finding("data source", "problem", str(error), fix)
        return
    there = {found.get("uid") for found in listed if isinstance(found, dict)}
    for file in sorted(DASHBOARDS.glob("*.json")):
        ours = json.loads(file.read_text())
        if ours["uid"] not in there:
            yield Finding(f"dashboard {ours['title']}", "problem", "is not there", _RELOAD)
            continue
        async for finding in _dashboard(api, ours, minutes):
            yield finding


async def _datasource(api: GrafanaApi) -> Finding:
    """Raises GrafanaError when it is not there or Grafana does not say."""
    source = await api.get(f"/api/datasources/uid/{DATASOURCE}")
    url = source.get("url", "nowhere")
    try:
        health = await api.get(f"/api/datasources/uid/{DATASOURCE}/health")
    except GrafanaError as error:
        return Finding(
            "data source", "problem", f"{url}: {error}", "supervisorctl start prometheus"
        )
    if health.get("status") != "OK":
        seen = f"{url}: {health.get('message', health)}"
        return Finding("data source", "problem", seen, "supervisorctl start prometheus")
    return Finding("data source", "ok", f"{url}: {health.get('message', 'OK')}")


async def _dashboard(
    api: GrafanaApi, ours: Mapping[str, Any], minutes: float
) -> AsyncIterator[Finding]:
    what = f"dashboard {ours['title']}"
    try:
        told = await api.get(f"/api/dashboards/uid/{ours['uid']}")
        theirs = list(panels(told["dashboard"]))
    except GrafanaError as error:
        yield Finding(what, "problem", str(error), _RELOAD)
        return
    except (KeyError, TypeError):
        yield Finding(what, "problem", "Grafana tells it in a form that is not known here")
        return
    if theirs != list(panels(ours)):
        yield Finding(what, "problem", "is not the one of this checkout", _RELOAD)
        return
    amiss = [finding for panel in theirs async for finding in _panel(api, what, panel, minutes)]
    if not amiss:
        asked = sum(len(panel.expressions) for panel in theirs)
        yield Finding(what, "ok", f"{len(theirs)} panels, all {asked} queries bring data")
    for finding in amiss:
        yield finding


async def _panel(
    api: GrafanaApi, what: str, panel: Panel, minutes: float
) -> AsyncIterator[Finding]:
    """What is wrong with it."""
    what = f"{what}, {panel.title}"
    try:
        answer = await api.query(query(panel, DATASOURCE, minutes))
    except GrafanaError as error:
        yield Finding(what, "problem", str(error))
        return
    for name, expression in panel.expressions.items():
        if reason := error_in(answer, name):
            yield Finding(what, "problem", f"{reason}: {expression}")
        elif not has_data(answer, name):
            yield Finding(what, "note", f"no data: {expression}", _WAIT)
