"""One request's way, put together from log lines; finding these lines in files that rotate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.stack.access_logs import access_logs, lines_of
from monitoring.stack.project import Project, StackError
from monitoring.stack.trail import Line, trails
from monitoring.topology import read_topology

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(service: str, ms: int, **fields: Any) -> Line:
    return {
        "time": f"2026-11-22T10:00:00.{ms:03d}Z", "service": service, "worker": 7,
        "request_id": "r", "trace_id": TRACE, "method": "GET", "path": "/", "status": 200,
        "duration_ms": 1.0, **fields,
    }  # fmt: skip


def attempt(ms: int, span: str, outcome: str, kind: str = "first") -> dict[str, Any]:
    time = f"2026-11-22T10:00:00.{ms:03d}Z"
    return {
        "time": time,
        "kind": kind,
        "outcome": outcome,
        "duration_ms": 5.0,
        "span_id": span,
    }


WAY = [
    line("unstable", 30, parent_id="b", status=200, fault="none", decision=2),
    line("app1", 10, span_id="a", parent_id="d", source="live", stored=False, tries=[
        attempt(11, "x", "connect_error"), attempt(29, "b", "ok", "retry")]),
    line("balancer", 10, backend="127.0.0.1:3000", duration_ms=60.0, ended="ok"),
]  # fmt: skip


@given(st.permutations(WAY))
def test_the_way_is_in_order_whatever_the_order_of_the_files(lines: list[Line]):
    (trail,) = trails(lines)
    assert [(step.where, step.depth) for step in trail.steps] == [
        ("balancer (7)", 0), ("app1 (7)", 1), ("attempt", 2), ("unstable (7)", 2),
    ]  # fmt: skip
    offsets = [round((step.at - trail.steps[0].at) * 1000) for step in trail.steps]
    assert offsets == [0, 0, 1, 19]


def test_an_attempt_and_the_line_of_the_external_service_about_it_are_one_step():
    (trail,) = trails(WAY)
    lost, found = trail.steps[2:]
    assert "attempt 1 (first): connect_error" in lost.told
    assert "has no line of it" in lost.told
    assert "attempt 2 (retry): ok; unstable ended it after 1.0 ms with 200" in found.told
    assert len(found.lines) == 2
    assert (lost.status, found.status) == (0, 200)


def test_what_was_not_stored_is_said():
    (trail,) = trails(WAY)
    assert "stored False" in trail.steps[1].told


def test_two_requests_with_the_same_id_are_told_apart_by_their_traces():
    other = line("app2", 400, trace_id="0" * 31 + "1")
    assert [len(trail.steps) for trail in trails([other, *WAY])] == [4, 1]


@pytest.mark.parametrize("took", [61, "0.061"], ids=["milliseconds", "seconds, as it once did"])
def test_nginx_comes_first_although_it_logs_only_the_second_and_knows_no_trace(took: object):
    came = dict(line("nginx", 0, time="2026-11-22T10:00:01+00:00", duration_ms=took))
    del came["trace_id"]
    (trail,) = trails([*WAY[:2], came])
    assert trail.steps[0].where == "nginx (7)"
    assert trail.steps[0].took_ms == pytest.approx(61)


@given(st.lists(st.dictionaries(
    st.sampled_from(["time", "service", "request_id", "trace_id", "path", "duration_ms", "id"]),
    st.one_of(st.none(), st.text(max_size=9), st.integers(0, 9)))))  # fmt: skip
def test_lines_of_other_makers_never_make_it_fall_over(lines: list[Line]):
    assert sum(len(step.lines) for trail in trails(lines) for step in trail.steps) == len(lines)


def project(root: Path, option: str = "var/log/access-app1.jsonl") -> Project:
    text = f"[program:app1]\ncommand=/bin/sh -c 'exec app --access-log ${{APP_LOG:-{option}}}'\n"
    (root / "var/log").mkdir(parents=True)
    return Project(root, read_topology(text, {}, root))


def test_rotated_files_and_those_moved_elsewhere_are_searched_and_locks_are_not(tmp_path: Path):
    moved = project(tmp_path, "elsewhere/a.log")
    (tmp_path / "elsewhere").mkdir()
    names = ["elsewhere/a.log", "elsewhere/a.log.2", "var/log/access-app1.jsonl.1"]
    for name in [*names, "elsewhere/a.log.lock", "var/log/access-app1.jsonl.lock"]:
        (tmp_path / name).write_text(json.dumps(line("app1", 1)) + "\n")
    files, silent = access_logs(moved)
    assert [str(file.relative_to(tmp_path)) for file in files] == names
    assert silent == []
    assert len(lines_of("r", files)) == 3
    assert len(lines_of(TRACE, files)) == 3


def test_a_program_that_writes_no_access_log_is_named(tmp_path: Path):
    assert access_logs(project(tmp_path, "off")) == ([], ["app1"])


def test_an_id_inside_another_or_in_a_path_is_not_taken_for_it(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    others = [line("app1", 1, request_id="rr"), line("app1", 2, request_id="x", path='"r"')]
    text = "\n".join(
        [*(json.dumps(one) for one in [*others, line("app1", 3)]), '{"request_id":"r"']
    )
    file.write_text(text)
    assert [found["time"][-4:] for found in lines_of("r", [file, tmp_path / "gone"])] == ["003Z"]


@pytest.mark.parametrize("given", ["", "a b", "é", "x" * 129, '"'])
def test_what_is_no_id_is_refused_with_what_is_one(given: str):
    with pytest.raises(StackError, match="is no request id: 1 to 128 letters"):
        lines_of(given, [])
