"""What a person reads in the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from tests.drill_answers import evidence, failed, steady
from tests.drills.drill import Drill
from tests.drills.invariants import judge, no_ask_fails
from tests.drills.results import DrillResult, Results
from tests.drills.screen import Screen, print_results
from tests.drills.summary import summarise


def nothing(scene: object) -> None:
    """Breaks nothing."""


DRILL = Drill("break-it", "processes", "kill [everything]", nothing, (no_ask_fails,), takes=1)


def red() -> DrillResult:
    found = evidence([*steady(0, 15), failed(6.0, reason="reset [by] peer")])
    return summarise(DRILL, found, judge(found, DRILL.promises), [], 40.0)


def green() -> DrillResult:
    found = evidence(steady(0, 15))
    return summarise(DRILL, found, judge(found, DRILL.promises), [], 40.0)


def printed(*rows: DrillResult) -> str:
    text = io.StringIO()
    print_results(Results("now", {}, {}, list(rows)), Console(file=text))
    return text.getvalue()


def test_the_table_has_a_row_for_each_drill_and_nothing_is_cut_off():
    lines = printed(green(), red()).splitlines()
    assert "worst second" in lines[0]
    assert "600" in lines[1]
    assert "✓ passed" in lines[1]
    assert "1 of 41" in lines[2]
    assert "✗ failed" in lines[2]


def test_a_broken_promise_is_told_with_what_was_seen_even_if_it_looks_like_markup():
    said = printed(red())
    assert "kill [everything]" in said
    assert "✗ Every request to / is answered: 1 of 481: 1 x cut: reset [by] peer" in said
    assert "No acknowledged write is lost" not in said


def test_a_failure_on_a_machine_that_was_busy_with_other_things_says_so():
    assert "Other programs used 62% of this machine's CPUs" in printed(replace(red(), others=0.62))
    assert "Other programs" not in printed(replace(red(), others=0.05))


def test_why_a_drill_proved_nothing_is_told():
    assert "no supervisord" in printed(
        DrillResult("x", "load", "does it", "error", "no supervisord")
    )


def test_without_a_terminal_each_drill_that_ended_is_a_line():
    text = io.StringIO()
    with Screen(Console(file=text), [10.0, 10.0]) as screen:
        screen.begin("break-it")
        screen.phase("before", 5.0)
        screen.ended(green())
        screen.begin("break-it")
        screen.ended(red())
    first, second = text.getvalue().splitlines()
    assert first.startswith("✓ break-it")
    assert "0 of 100 records lost" in first
    assert second.startswith("✗ break-it")
    assert "Every request to / is answered" in second


def test_on_a_terminal_drill_phase_and_time_left_are_shown():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with Screen(console, [60.0, 30.0]) as screen:
        screen.begin("break-it")
        screen.phase("recovery", 5.0)
    said = text.getvalue()
    assert "1/2 break-it: recovery" in said
    assert "left" in said
