from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from tests.bench import page
from tests.bench.charts import drawn
from tests.bench.results import Chart, Result
from tests.unit.test_bench_paste import a_result

RATIOS = Chart("rate", "ratios", "Rate")
VALUES = Chart("time", "values", "Time")


@pytest.fixture
def written(tmp_path: Path) -> str:
    result = a_result()
    result.about = "<b>about</b>"
    result.charts = (RATIOS, VALUES)
    result.absent["HAProxy"] = "not installed"
    result.refuse("case 1", "ours", "3 × status <500>")
    page.write(tmp_path / "bench.html", [result])
    return (tmp_path / "bench.html").read_text()


def test_the_page_needs_nothing_from_anywhere(written: str):
    own = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!#)""", own)
    assert "Plotly" in written
    assert "@import" not in own


def test_what_is_not_measured_and_what_is_invalid_can_be_seen(written: str):
    assert "Not measured: HAProxy: not installed" in written
    assert "invalid: 3 × status &lt;500&gt;" in written
    assert "<b>about</b>" not in written


def test_every_chart_is_data_that_the_script_can_read(written: str):
    charts = [json.loads(unescape(told)) for told in re.findall(r'data-chart="([^"]*)"', written)]
    assert [chart["kind"] for chart in charts] == ["bars", "bars"]
    assert charts[0]["line"] == 1.0


def test_ratios_leave_out_the_baseline_and_say_the_absolute_figure():
    told = drawn(a_result(cases=2), RATIOS)
    assert told is not None
    (ours,) = told["series"]
    assert (ours["x"], ours["y"]) == (["case 0", "case 1"], [0.5, 0.5])
    assert ours["text"][0] == "50, 0.50 × NGINX"
    assert told["line"] == 1.0


def test_nothing_is_drawn_of_what_is_invalid():
    result = a_result()
    for contender in ("ours", "NGINX"):
        result.refuse("case 0", contender, "not one answer")
    assert drawn(result, VALUES) is None


def test_values_far_apart_get_a_logarithmic_axis_with_named_ticks():
    result: Result = a_result()
    assert drawn(result, VALUES)["log"] is False  # type: ignore[index]
    result.add("case 1", "ours", time=6.0)
    told = drawn(result, VALUES)
    assert told is not None
    assert told["log"] is True
    assert "1.0 ms" in told["ticktext"]


def test_programs_can_stand_on_the_axis_instead_of_cases():
    told = drawn(a_result(cases=2), Chart("time", "values", "Time", by="contender"))
    assert told is not None
    assert [one["name"] for one in told["series"]] == ["case 0", "case 1"]
    assert told["series"][0]["x"] == ["ours", "NGINX"]
