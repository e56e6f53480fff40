from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.paste import PasteError, Sources, pasted
from tests.bench.report import ReportError
from tests.bench.results import Metric, Result

RUN = {
    "made": "2026-11-22T23:00:00+00:00",
    "seconds": 12.0,
    "effort": "standard",
    "commit": "abc1234567",
    "machine": {
        "cpu": "Some CPU", "cpus": 2, "memory_gib": 24, "system": "Linux 6", "python": "3.11.2",
    },
    "versions": {"nginx": "1.22.1"},
    "used_by_others": 0.01,
}  # fmt: skip
DRILLS = {
    "machine": "2 × Some CPU",
    "made": "2026-11-22T23:00:00+00:00",
    "drills": [
        {"name": "kill-worker", "requests": 12000, "failed": 0, "lost": 0, "recovery": 0.31},
        {"name": "stop-unstable", "requests": 900, "failed": 0},
    ],
}
TEXT = "# Speed\n\n<!-- bench:begin speed -->\nold\n<!-- bench:end -->\n\nafter  \n"


def a_result(name: str = "speed", cases: int = 1) -> Result:
    metrics = (Metric("rate", "requests/s", compared=True), Metric("time", "p99", "seconds"))
    result = Result(name, "Speed", "How fast.", "NGINX", metrics, run=RUN)
    for number in range(cases):
        case = f"case {number}"
        result.add(case, "ours", rate=50, time=0.002)
        result.add(case, "NGINX", rate=100, time=0.001)
    return result


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    results = [a_result(), a_result("cases", cases=2)]
    report.save(tmp_path / "bench.json", results, ["speed", "cases"])
    (tmp_path / "drills.json").write_text(json.dumps(DRILLS))
    return tmp_path


def block(name: str, reports: Path) -> str:
    text = f"<!-- bench:begin {name} -->\n<!-- bench:end -->\n"
    return pasted(text, Sources(reports))


@pytest.mark.parametrize(
    "text",
    [
        "no marker at all\n",
        "<!-- bench:begin speed -->\nwithout an end\n",
        "<!-- bench:begin speed -->\n<!-- bench:end -->\n<!-- bench:end -->\n",
        "<!-- bench:begin speed -->\n<!-- bench:begin speed -->\n<!-- bench:end -->\n",
    ],
)
def test_markers_that_do_not_match_are_refused(text: str, reports: Path):
    with pytest.raises(PasteError):
        pasted(text, Sources(reports))


def test_an_unknown_name_is_refused_with_those_that_there_are(reports: Path):
    with pytest.raises(PasteError, match="spede; there are summary, drills, speed, cases"):
        block("spede", reports)


def test_without_a_report_the_command_that_makes_it_is_named(tmp_path: Path):
    with pytest.raises(ReportError, match="make bench"):
        block("speed", tmp_path)
    with pytest.raises(ReportError, match="make drill"):
        block("drills", tmp_path)


def test_only_what_stands_between_the_markers_changes(reports: Path):
    fresh = pasted(TEXT, Sources(reports))
    before, _, after = fresh.partition("<!-- bench:begin speed -->\n")
    assert before == "# Speed\n\n"
    assert after.endswith("<!-- bench:end -->\n\nafter  \n")
    assert "old" not in fresh


def test_pasting_twice_changes_nothing(reports: Path):
    once = pasted(TEXT, Sources(reports))
    assert pasted(once, Sources(reports)) == once


def test_the_figures_come_with_their_ratio_machine_commit_and_versions(reports: Path):
    told = block("speed", reports)
    assert "| ours | 50 (0.50 ×) | 2.0 ms |" in told
    assert "| NGINX | 100 | 1.0 ms |" in told
    for origin in ("2 × Some CPU", "abc1234567", "2026-11-22", "nginx 1.22.1", "ratio to NGINX"):
        assert origin in told


def test_several_cases_become_columns(reports: Path):
    told = block("cases", reports)
    assert "| requests/s | case 0 | case 1 |" in told
    assert "| ours | 50 (0.50 ×) | 50 (0.50 ×) |" in told


def test_the_summary_puts_ours_beside_the_baseline(reports: Path):
    assert "| Speed, requests/s | 50 (0.50 ×) | 100 | NGINX |" in block("summary", reports)


def test_an_invalid_row_is_pasted_as_invalid_and_not_as_a_figure(reports: Path):
    bad = a_result()
    bad.refuse("case 0", "ours", "1 × status above 399")
    report.save(reports / "bench.json", [bad], ["speed"])
    assert "| ours | invalid | invalid |" in block("speed", reports)


def test_a_peer_that_was_not_there_is_named(reports: Path):
    result = a_result()
    result.absent["HAProxy"] = "haproxy is not installed; to get it: apt-get install haproxy"
    report.save(reports / "bench.json", [result], ["speed"])
    assert "Not measured: HAProxy (haproxy is not installed" in block("speed", reports)


def test_drills_become_a_table_without_the_columns_nobody_filled(reports: Path):
    told = block("drills", reports)
    assert "| drill | requests | failed | recovered after | lost |" in told
    assert "| kill-worker | 12,000 | 0 | 0.3 s | 0 |" in told
    assert "| stop-unstable | 900 | 0 |  |  |" in told
    assert "Measured 2026-11-22. 2 × Some CPU." in told


@pytest.mark.parametrize("told", ["{}", "[]", '{"drills": []}', '{"drills": 3}', "{", "[1, 2]"])
def test_drills_that_are_none_are_an_error_and_no_empty_table(told: str, reports: Path):
    (reports / "drills.json").write_text(told)
    with pytest.raises(ReportError, match="make drill"):
        block("drills", reports)


def test_drills_by_name_and_verdicts_as_truth_values_are_understood(reports: Path):
    told = {"results": {"kill-worker": {"sent": 10, "ok": True}, "x": {"sent": 1, "ok": False}}}
    (reports / "drills.json").write_text(json.dumps(told))
    table = block("drills", reports)
    assert "| kill-worker | 10 | passed |" in table
    assert "| x | 1 | failed |" in table


def test_a_partial_run_keeps_what_was_measured_before(reports: Path):
    path, order = reports / "bench.json", ["cases", "speed"]
    again = a_result()
    again.add("case 0", "HAProxy", rate=90)
    together = report.save(path, [again], order)
    assert [one.name for one in together] == order
    assert report.load(path)[1].contenders == ["ours", "NGINX", "HAProxy"]


def test_a_run_replaces_a_report_that_cannot_be_read(reports: Path):
    path = reports / "bench.json"
    path.write_text("{ half")
    report.save(path, [a_result()], ["speed"])
    assert [one.name for one in report.load(path)] == ["speed"]


@pytest.mark.parametrize("told", ["{", "[]", '{"format": 0}', '{"format": 1, "measurements": [1]}'])
def test_a_file_that_is_no_report_is_refused_in_one_line(told: str, tmp_path: Path):
    (tmp_path / "bench.json").write_text(told)
    with pytest.raises(ReportError, match="make"):
        report.load(tmp_path / "bench.json")
