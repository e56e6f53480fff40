"""Verdict, row, page and file of a drill."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.drill_answers import evidence, failed, refused, steady
from tests.drills.answers import Answer
from tests.drills.drill import Drill
from tests.drills.evidence import Finding, LedgerCheck
from tests.drills.invariants import judge, no_ask_fails
from tests.drills.report import page
from tests.drills.results import DrillResult, Mark, Results, Verdict, exit_code, write
from tests.drills.rows import HEADINGS, cells
from tests.drills.summary import decide, summarise

KEPT, BROKEN = Finding("Kept", True), Finding("Broken <b>", False, "1 of 2 & more")


def nothing(scene: object) -> None:
    """Breaks nothing."""


DRILL = Drill("break-it", "processes", "kill <everything>", nothing, (no_ask_fails,), takes=1)


def result(answers: list[Answer], **about: object) -> DrillResult:
    found = evidence(answers, **about)  # type: ignore[arg-type]
    marks = [Mark(5.0, "kill <it>"), Mark(10.0, "start it")]
    return summarise(DRILL, found, judge(found, DRILL.promises), marks, 40.0)


def test_a_generator_that_fell_behind_proves_nothing_not_even_a_failure():
    assert decide([KEPT], 0.3, lag=0.1)[0] == "invalid"
    assert decide([BROKEN], 0.3, lag=0.1)[0] == "invalid"
    assert decide([KEPT], None, lag=0.1)[0] == "invalid"
    assert decide([KEPT], 0.05, lag=0.1) == ("passed", "")


def test_one_broken_promise_fails_a_drill_and_names_it():
    assert decide([KEPT, BROKEN], 0.0, lag=0.1) == ("failed", "Broken <b>")


def test_lateness_of_the_direct_load_counts_too():
    late = steady(0, 15, late=1.0)
    assert result(steady(0, 15), direct=late).verdict == "invalid"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["passed", "passed"], 0),
        (["passed", "not run"], 0),
        (["passed", "failed"], 1),
        (["passed", "invalid"], 1),
        (["error"], 1),
        (["failed", "interrupted"], 130),
    ],
)
def test_the_exit_code_tells_a_script(verdicts: list[Verdict], code: int):
    assert exit_code(DrillResult("x", "load", "x", verdict) for verdict in verdicts) == code


def test_the_row_counts_failed_refused_unknown_and_lost_apart():
    answers = [
        *steady(0, 15),
        failed(6.0, "timeout", latency=10.0),
        failed(6.1, "connect"),
        failed(6.2, "cut", request="read"),
        refused(6.3),
    ]
    row = result(answers, ledger=LedgerCheck(50, {1: "gone"}, {0: 1, 1: 49}), recovered=11.5)
    assert (row.requests, row.failed, row.refused, row.unknown) == (604, 3, 1, 1)
    assert (row.acknowledged, row.lost) == (50, 1)
    assert row.recovery == 1.5
    assert row.verdict == "failed"
    assert row.worst is not None
    assert (row.worst.at, row.worst.failed) == (6, 4)
    told = dict(zip(HEADINGS, cells(row), strict=True))
    assert told["failed"] == "3"
    assert told["worst second"] == "4 of 44"
    assert told["recovery"] == "1.5 s"


def test_the_time_during_lasts_until_it_is_as_good_as_before():
    answers = [*steady(0, 10), *steady(10, 12, latency=2.0), *steady(12, 15)]
    row = result(answers, recovered=12.0)
    assert row.during.p99 == 2.0
    assert row.after.p99 == 0.01


def test_a_drill_that_never_recovered_says_so():
    row = result([*steady(0, 15), failed(14.0)], recovered=None)
    assert row.recovery is None
    assert "never" in cells(row)
    assert row.after.p50 is None


def test_a_drill_that_was_not_run_has_a_row_without_figures():
    row = DrillResult("disk-full", "shards", "fills it", "not run", "needs Linux")
    assert cells(row)[:2] == ("disk-full", "not run")
    assert set(cells(row)[2:]) == {"-"}


def results(*rows: DrillResult) -> Results:
    return Results("2026-01-02T03:04:05+00:00", {"cores": 2}, {"seed": 7}, list(rows))


def test_the_page_stands_alone_and_shows_every_drill():
    other = DrillResult("disk-full", "shards", "fills it", "not run", "needs Linux")
    html = page(results(result([*steady(0, 15), failed(6.0)]), other))
    ours = re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)  # without plotly.js
    assert html.count("plotly.js v") == 1
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", ours)
    assert 'id="timeline-break-it"' in html
    assert "needs Linux" in html
    assert "<dt>seed</dt><dd>7</dd>" in html


def test_what_a_drill_says_cannot_break_the_page():
    html = page(results(result([*steady(0, 15), failed(6.0)])))
    assert "kill &lt;everything&gt;" in html
    assert "kill <everything>" not in html
    assert "kill &lt;it&gt;" in html


def test_the_file_has_what_is_needed_to_repeat_a_run(tmp_path: Path):
    path = tmp_path / "drills.json"
    write(results(result([*steady(0, 15), failed(6.0)])), path)
    told = json.loads(path.read_text())
    assert told["settings"] == {"seed": 7}
    [drill] = told["drills"]
    assert drill["name"] == "break-it"
    assert drill["verdict"] == "failed"
    assert drill["findings"][0] == {
        "sentence": "Every request to / is answered",
        "held": False,
        "detail": "1 of 481: 1 x cut: cut",
    }
    assert len(drill["seconds"]) == 15
    assert drill["events"][0] == {"at": 5.0, "what": "kill <it>"}
