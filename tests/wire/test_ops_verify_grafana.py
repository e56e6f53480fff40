"""`python -m monitoring verify-grafana`: what it says of a Grafana that is well, and of others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from monitoring.stack.finding import Finding
from monitoring.verification.command import verify_grafana
from monitoring.verification.grafana_api import GrafanaApi
from monitoring.verification.verify import verify
from tests.grafana_server import GrafanaServer, frames, running
from tests.prometheus_server import ROOT, free_port

DOWN = "count(up == 0) or vector(0)"  # of Overview's first panel


async def look(server: GrafanaServer) -> list[Finding]:
    async with running(server) as url, GrafanaApi(url, "admin", "admin") as api:
        return [finding async for finding in verify(api, 5.0)]


async def wrong(server: GrafanaServer) -> Finding:
    """The one finding that is no good."""
    (found,) = [one for one in await look(server) if one.gravity != "ok"]
    assert "\n" not in found.seen + found.fix
    return found


async def test_a_grafana_that_is_well_is_asked_every_query_of_every_panel():
    server = GrafanaServer()
    findings = await look(server)
    assert {finding.gravity for finding in findings} == {"ok"}
    assert [finding.what for finding in findings] == [
        "grafana", "data source", "dashboard Overview", "dashboard Processes",
        "dashboard Resilience", "dashboard Storage",
    ]  # fmt: skip
    written = json.dumps(list(server.dashboards.values()))
    assert len(server.asked) == written.count('"refId"')


async def test_a_query_that_fails_is_a_problem_of_its_panel():
    server = GrafanaServer()
    server.errors[DOWN] = "parse error: unexpected end of input"
    found = await wrong(server)
    assert (found.what, found.gravity) == ("dashboard Overview, Programs down", "problem")
    assert found.seen == f"parse error: unexpected end of input: {DOWN}"


@pytest.mark.parametrize("nothing", [[], frames(), frames(None, None)])
async def test_a_panel_without_data_is_a_note(nothing: Any):
    server = GrafanaServer()
    server.data[DOWN] = nothing
    found = await wrong(server)
    assert (found.what, found.gravity) == ("dashboard Overview, Programs down", "note")
    assert found.seen == f"no data: {DOWN}"


async def test_a_dashboard_that_was_not_loaded_is_named():
    server = GrafanaServer()
    del server.dashboards["stack-storage"]
    found = await wrong(server)
    assert (found.what, found.gravity) == ("dashboard Storage", "problem")
    assert "restart grafana" in found.fix


async def test_a_dashboard_of_another_checkout_is_named():
    server = GrafanaServer()
    server.dashboards["stack-storage"]["panels"].pop()
    found = await wrong(server)
    assert (found.what, found.gravity) == ("dashboard Storage", "problem")
    assert "checkout" in found.seen


async def test_a_dashboard_told_in_another_form_is_a_problem_and_no_traceback():
    server = GrafanaServer()
    server.dashboards["stack-storage"] = {"title": "Storage", "panels": [{"targets": [{}]}]}
    found = await wrong(server)
    assert (found.what, found.gravity) == ("dashboard Storage", "problem")


async def test_a_data_source_that_does_not_reach_prometheus_is_a_problem():
    server = GrafanaServer()
    server.health = {"status": "ERROR", "message": "connection refused"}
    found = await wrong(server)
    assert (found.what, found.gravity) == ("data source", "problem")
    assert "connection refused" in found.seen
    assert "start prometheus" in found.fix


async def test_without_its_data_source_nothing_more_is_asked():
    server = GrafanaServer()
    server.datasource = None
    found = await wrong(server)
    assert "404 Data source not found" in found.seen
    assert not server.asked


async def test_a_wrong_password_says_how_to_name_the_right_one():
    server = GrafanaServer()
    server.password = "changed in Grafana"
    found = await wrong(server)
    assert "401 Invalid username or password" in found.seen
    assert "GF_SECURITY_ADMIN_PASSWORD" in found.fix


async def test_a_grafana_whose_database_is_gone_is_not_well():
    server = GrafanaServer()
    server.database = "failing"
    assert (await wrong(server)).what == "grafana"


async def test_what_is_no_grafana_is_told_from_one():
    app = web.Application()
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with GrafanaApi(url, "admin", "admin") as api:
        (found,) = [one async for one in verify(api, 5.0)]
    await runner.cleanup()
    assert found.gravity == "problem"
    assert "the answer is not Grafana's" in found.seen


def command(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitoring", "verify-grafana", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


async def test_the_command_tells_scripts_and_people_and_ends_with_0():
    async with running(GrafanaServer()) as url:
        done = await asyncio.to_thread(command, "--url", url, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"]
    assert len(told["findings"]) == 6


def test_where_nothing_answers_it_ends_with_1_and_the_line_that_mends_it(tmp_path: Path):
    done = command("--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "make grafana" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--url", "127.0.0.1:3002"), "'127.0.0.1:3002' is not http://HOST:PORT"),
        (("--user", "a:b"), "'a:b': HTTP allows no colon"),
        (("--minutes", "0"), "'0' is not a number from 0.5 to 1440"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options: tuple[str, ...], says: str):
    done = CliRunner().invoke(verify_grafana, options)
    assert done.exit_code == 2
    assert says in done.output
