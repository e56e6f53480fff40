"""Conditions of programs, the verdict over all of them, and who is to blame for a slow start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitoring.stack.state import Look, Process, ProgramState, StackState, judge
from monitoring.stack.waiting import Limits, Waiting
from monitoring.topology import read_topology

TEXT = """
[program:app]
command=x
stack_url=http://127.0.0.1:3000/
stack_ready=http://127.0.0.1:3000/readyz
[program:door]
command=x
stack_url=http://127.0.0.1:${DOOR:-8080}/
stack_ready=http://127.0.0.1:8082/readyz
[program:twin]
command=x
autostart=false
stack_url=http://127.0.0.1:${DOOR:-8080}/
stack_ready=http://127.0.0.1:${DOOR:-8080}/
[program:charts]
command=x
stack_url=http://127.0.0.1:9090/
stack_ready=http://127.0.0.1:9090/
stack_optional=true
"""
TOPOLOGY = read_topology(TEXT, {}, Path("/x"))
NOW = 1_000_000


def process(name: str, state: str, **changes: object) -> Process:
    values = {
        "pid": 100 if state == "RUNNING" else 0,
        "started": NOW - 60,
        "stopped": 0,
        "exit_status": 0,
        "reason": "",
        **changes,
    }
    return Process(name=name, state=state, **values)  # type: ignore[arg-type]


def look(
    states: dict[str, Process | str], problems: dict[str, str | None] | None = None
) -> StackState:
    standard = {"app": "RUNNING", "door": "RUNNING", "twin": "STOPPED", "charts": "RUNNING"}
    found = {
        name: state if isinstance(state, Process) else process(name, state)
        for name, state in {**standard, **states}.items()
    }
    answers: dict[str, str | None] = {
        name: None for name, one in found.items() if one.state == "RUNNING"
    }
    answers |= problems or {}
    return judge(TOPOLOGY, Look(found, answers, {"charts": "get it so"}, 4711, NOW))


def one(state: StackState, name: str) -> ProgramState:
    return next(program for program in state.programs if program.name == name)


def test_all_ready_is_well_and_a_program_that_is_not_started_by_itself_is_off():
    state = look({})
    assert state.level == "ok"
    assert one(state, "twin").condition == "off"
    assert state.sentence == "All is well: 3 programs are ready."


def test_running_is_not_ready():
    state = look({}, {"app": "answers 503"})
    assert one(state, "app").condition == "starting"
    assert one(state, "app").note == "answers 503"
    assert (state.level, state.sentence) == ("degraded", "Degraded: app is not ready.")


def test_what_the_user_stopped_is_named():
    assert look({"app": "STOPPED"}).sentence == "Degraded: app is stopped."


def test_a_program_whose_twin_serves_its_address_may_be_stopped():
    state = look({"door": "STOPPED", "twin": "RUNNING"})
    assert one(state, "door").condition == "off"
    assert state.level == "ok"


def test_a_twin_that_is_not_ready_is_no_stand_in():
    state = look({"door": "STOPPED", "twin": "RUNNING"}, {"twin": "answers 502"})
    assert one(state, "door").condition == "stopped"
    assert state.level == "degraded"


@pytest.mark.parametrize("state", ["FATAL", "BACKOFF", "EXITED", "UNKNOWN"])
def test_what_keeps_dying_is_failing_and_says_why(state: str):
    found = look({"app": process("app", state, exit_status=7)})
    assert one(found, "app").condition == "failing"
    assert one(found, "app").note == "ended with exit code 7"


def test_an_optional_program_that_ended_well_is_not_installed_and_says_how_to_get_it():
    state = look({"charts": "EXITED"})
    assert one(state, "charts").condition == "absent"
    assert one(state, "charts").note == "get it so"
    assert state.level == "ok"


def test_an_optional_program_that_crashed_is_failing():
    state = look({"charts": process("charts", "EXITED", exit_status=1)})
    assert one(state, "charts").condition == "failing"


def test_an_optional_program_that_crashed_is_told_with_its_last_words_and_all_else_is_well():
    state = look({"charts": process("charts", "FATAL", exit_status=1)})
    assert state.level == "ok"
    assert (
        state.sentence == "2 programs are ready; charts is failing, and the rest runs without it."
    )
    assert one(state, "charts").last_words == "get it so"


def test_a_program_that_does_not_start_by_itself_may_fail_while_the_other_serves_its_address():
    state = look({"twin": process("twin", "BACKOFF", exit_status=1)})
    assert state.level == "ok"
    assert "twin is failing" in state.sentence


def test_beside_a_required_program_that_is_not_well_the_optional_one_is_told_too():
    state = look({"app": "STOPPED", "charts": process("charts", "FATAL", exit_status=1)})
    assert (state.level, state.sentence) == (
        "degraded", "Degraded: app is stopped, charts is failing.",
    )  # fmt: skip


def test_a_required_program_that_ended_with_0_is_still_missing():
    assert one(look({"app": "EXITED"}), "app").condition == "failing"


def test_nothing_ready_is_down():
    state = look({"app": "FATAL", "door": "FATAL", "charts": "FATAL"})
    assert (state.level, state.sentence) == ("down", "Nothing is ready.")


def test_without_supervisord_what_answers_is_still_ready():
    found = Look(None, {"app": None, "door": "nothing listens"}, {}, 0, NOW)
    state = judge(TOPOLOGY, found)
    assert one(state, "app").condition == "ready"
    assert one(state, "door").condition == "unknown"
    assert state.level == "degraded"
    assert state.sentence == (
        "supervisord does not answer; 1 program still does. To begin anew: make down up"
    )


def test_without_anything_the_stack_is_down():
    state = judge(TOPOLOGY, Look(None, {}, {}, 0, NOW))
    assert state.level == "down"


def test_a_program_supervisord_does_not_know_is_unknown_not_an_error():
    state = judge(TOPOLOGY, Look({}, {}, {}, 1, NOW))
    assert one(state, "app").condition == "unknown"


def test_uptime_is_never_negative_and_only_of_what_lives():
    state = look({"app": process("app", "RUNNING", started=NOW + 5), "charts": "FATAL"})
    assert one(state, "app").uptime_seconds == 0
    assert one(state, "door").uptime_seconds == 60
    assert one(state, "charts").uptime_seconds == 0


def test_the_state_as_json_holds_verdict_and_programs():
    told = json.loads(json.dumps(look({}).as_json()))
    assert told["level"] == "ok"
    assert told["supervisor_pid"] == 4711
    assert {program["name"] for program in told["programs"]} == {"app", "door", "twin", "charts"}


def waiting() -> Waiting:
    return Waiting(Limits(required=60, optional=120))


def dying(name: str, died: int, state: str = "BACKOFF") -> dict[str, Process | str]:
    return {name: process(name, state, stopped=died, exit_status=1)}


def test_each_program_is_news_once():
    watch = waiting()
    first = look({}, {"app": "nothing listens"})
    assert [program.name for program in watch.news(first)] == ["door", "charts"]
    assert watch.news(first) == []
    assert [program.name for program in watch.news(look({}))] == ["app"]


def test_all_ready_or_not_installed_leaves_nobody_to_wait_for():
    watch = waiting()
    assert watch.pending(look({"charts": "EXITED"}), 1) == []


def test_one_death_is_forgiven_the_second_is_not():
    watch = waiting()
    for _ in range(5):
        state = look(dying("app", NOW + 1))
        watch.news(state)
        assert watch.culprit(state, 2) is None
    state = look(dying("app", NOW + 3))
    watch.news(state)
    culprit = watch.culprit(state, 4)
    assert culprit is not None
    assert culprit.name == "app"


def test_fatal_is_hopeless_at_once():
    watch = waiting()
    state = look(dying("door", NOW, "FATAL"))
    watch.news(state)
    assert watch.culprit(state, 1) is not None


def test_who_is_not_ready_in_time_is_the_culprit():
    watch = waiting()
    state = look({}, {"door": "answers 503"})
    assert watch.culprit(state, 59) is None
    culprit = watch.culprit(state, 61)
    assert culprit is not None
    assert culprit.name == "door"


def test_an_optional_program_is_never_the_culprit_and_not_waited_for_for_ever():
    watch = waiting()
    slow = look({}, {"charts": "nothing listens"})
    assert watch.culprit(slow, 1000) is None
    assert [program.name for program in watch.pending(slow, 119)] == ["charts"]
    assert watch.pending(slow, 121) == []


def test_an_optional_program_that_keeps_dying_is_reported_and_given_up():
    watch = waiting()
    for second in (1, 3):
        state = look(dying("charts", NOW + second))
        news = watch.news(state)
    assert [program.name for program in news] == ["charts"]
    assert watch.pending(state, 5) == []


def test_a_program_the_user_stops_meanwhile_is_not_waited_for():
    assert waiting().pending(look({"app": "STOPPED"}), 1) == []


def test_what_answers_already_is_news_but_waited_for_until_supervisord_calls_it_running():
    watch = waiting()
    state = look({"app": "STARTING"}, {"app": None})
    assert "app" in [program.name for program in watch.news(state)]
    assert [program.name for program in watch.pending(state, 1)] == ["app"]
    assert watch.pending(look({}), 2) == []
