"""The registry: a new fault is a file and a line, everything else follows."""

import ast
from pathlib import Path

import click
import pytest
from aiohttp import web
from click.testing import CliRunner

from monitoring.page import MetricsPage
from unstable import faults
from unstable.faults import FAILING, SLOWING, STOCK, Exchange, Fault, Registry
from unstable.options import knob_options
from unstable.settings import FaultSettings, Knob
from unstable.telemetry import METHODS, OTHER, ROUTES, Telemetry


class Teapot(Fault):
    kind = "teapot"
    help = "answered by a teapot."
    knobs = (Knob("teapot_cups", 2, 1, 9, "Cups poured.", whole=True),)

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        return web.Response(status=418)


EXTENDED = Registry((*FAILING, Teapot()), SLOWING)


def test_each_fault_has_a_file_of_its_own():
    folder = Path(faults.__file__).parent
    classes = {
        file.stem: [node.name for node in ast.parse(file.read_text()).body
                    if isinstance(node, ast.ClassDef)]
        for file in folder.glob("*.py")
    }  # fmt: skip
    for kind, fault in STOCK.by_kind.items():
        file = "noop" if kind == "none" else kind
        assert classes[file] == [type(fault).__name__]


@pytest.mark.parametrize("fault", [*FAILING, *SLOWING], ids=lambda fault: fault.kind)
def test_every_fault_brings_its_settings_under_its_own_name(fault: Fault):
    names = [f"{fault.kind}_rate", *(knob.name for knob in fault.knobs)]
    assert all(name in STOCK.schema.knobs and name.startswith(fault.kind) for name in names)


def test_a_new_fault_has_a_rate_a_setting_and_leaves_the_others_alone():
    settings = FaultSettings.checked(EXTENDED.schema, {"teapot_rate": 0.5})
    assert settings.failing["teapot"] == 0.5
    assert settings.values["teapot_cups"] == 2
    assert list(settings.failing)[:-1] == list(STOCK.schema.failing)


def test_a_new_fault_has_options_and_environment_variables():
    seen: dict[str, float] = {}

    @click.command()
    @knob_options(EXTENDED.schema.knobs.values())
    def command(**knobs: float) -> None:
        seen.update(knobs)

    result = CliRunner(env={"UNSTABLE_TEAPOT_CUPS": "4"}).invoke(command, ["--teapot-rate", "0.2"])
    assert (result.exit_code, result.output) == (0, "")
    assert (seen["teapot_rate"], seen["teapot_cups"]) == (0.2, 4)


def test_a_new_fault_has_its_series_from_the_start():
    page = MetricsPage()
    schema = EXTENDED.schema
    telemetry = Telemetry(page.recorder(0), failing=schema.failing, slowing=schema.slowing)
    telemetry.fault_injected("teapot")
    telemetry.fault_injected("none")
    columns = page.series()
    assert page.values(columns["faults_total", "", ("teapot",)])[0] == 1
    assert page.values(columns["failures_total", "", ()])[0] == 1
    assert page.values(columns["delays_total", "", ()])[0] == 0


def test_any_mix_of_methods_paths_and_statuses_fits_the_page():
    page = MetricsPage()
    schema = STOCK.schema
    telemetry = Telemetry(page.recorder(0), failing=schema.failing, slowing=schema.slowing)
    telemetry.rates_are(dict.fromkeys([*schema.failing, *schema.slowing], 0.1))
    for status in range(500, 600):  # failure_status can be any of these
        telemetry.request_ended("GET", "/data", status, 0.1)
    for method in (*METHODS, "POST", "BREW"):
        for path in (*ROUTES, "/a", "/b", "/data/1"):
            for status in (200, 400, 403, 404, 405, 413, 444, 499, 500, 503):
                telemetry.request_ended(method, path, status, 0.1)
    routes = {labels[1] for name, _, labels in page.series() if name == "http_requests_total"}
    assert routes == {*ROUTES, OTHER}


def test_scrapes_are_not_requests_and_only_5xx_are_failed_ones():
    page = MetricsPage()
    telemetry = Telemetry(page.recorder(0), failing=["failure"], slowing=["delay"])
    for path, status in [("/data", 200), ("/data", 500), ("/data", 444), ("/metrics", 500)]:
        telemetry.request_started()
        telemetry.request_ended("GET", path, status, 0.001)
    columns = page.series()
    totals = {
        name: page.values(columns[name, "", ()])[0]
        for name in ("requests_total", "requests_failed", "http_requests_in_flight")
    }
    assert totals == {"requests_total": 3, "requests_failed": 1, "http_requests_in_flight": 0}
