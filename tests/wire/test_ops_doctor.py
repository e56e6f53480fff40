"""`doctor` and `logs --request` in a folder of their own, as a user runs them."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.ops_stack import Stack, said


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        for name in ("setup.cfg", "pyproject.toml"):
            (one.folder / name).write_text("")
        yield one


def findings(stack: Stack, **environ: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = stack.run("doctor", "--json", **environ)
    assert "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is (done.returncode == 0)
    return done.returncode, {finding["what"]: finding for finding in told["findings"]}


def test_a_port_that_another_program_holds_is_found_by_binding_and_has_a_line_that_moves_it(
    stack: Stack,
):
    port = stack.web("door")
    optional = stack.web("extra", stack_optional="true")
    with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", optional)):
        done = stack.run("doctor")
        text = said(done)
    assert done.returncode == 1
    assert "\x1b" not in text
    assert f"port {port} on 127.0.0.1 is in use by" in text
    assert "problem port of door: stop that one, or move it: DOOR_PORT=" in text
    assert "note port of extra: stop that one, or move it: EXTRA_PORT=" in text
    assert "1 problem is in the way." in text
    code, found = findings(stack)
    assert (code, found["port of door"]["seen"]) == (0, f"{port} free")


def test_a_running_stack_is_no_obstacle_to_itself_and_one_without_supervisord_is(stack: Stack):
    port = stack.web("door")
    assert stack.up().returncode == 0
    _code, found = findings(stack)
    assert found["port of door"]["seen"] == f"{port} in use by the stack itself"
    assert found["former runs"]["seen"].startswith("it runs (supervisord has pid")
    supervisord = psutil.Process(stack.supervisor.pid())
    supervisord.kill()
    supervisord.wait()
    code, found = findings(stack)
    assert code == 1
    assert "door (pid " in found["former runs"]["seen"]
    assert found["former runs"]["fix"] == "make down"


def test_a_server_that_cannot_be_run_or_is_not_there_is_told_and_nothing_is_changed(stack: Stack):
    before = sorted(stack.folder.rglob("*"))
    code, found = findings(stack, REDIS_SERVER="/bin/false", NGINX="/no/such", PATH="/usr/bin")
    assert code == 1
    redis, nginx = found["redis-server"], found["nginx"]
    assert redis["gravity"] == "problem"
    assert "/bin/false does not tell its version" in redis["seen"]
    assert "apt-get install redis-server" in redis["fix"]
    assert (nginx["gravity"], nginx["fix"]) == ("note", "unset NGINX")
    assert sorted(stack.folder.rglob("*")) == before


def test_one_requests_way_is_shown_from_all_files_and_an_unknown_one_is_one_line(stack: Stack):
    folder = stack.folder / "var/log"
    folder.mkdir(parents=True)
    way = (("balancer.jsonl", "00.100"), ("app1.jsonl.1", "00.101"), ("unstable.jsonl", "00.102"))
    for name, time in way:
        service = name.partition(".")[0]
        line = {"time": f"2026-11-22T10:00:{time}Z", "service": service, "request_id": "one",
                "trace_id": "t", "status": 200, "duration_ms": 1.5}  # fmt: skip
        (folder / f"access-{name}").write_text(json.dumps(line) + "\n")
    done = stack.run("logs", "--request", "one")
    text = said(done)
    assert done.returncode == 0
    assert "\x1b" not in text
    assert text.index("balancer") < text.index("app1") < text.index("unstable")
    assert "1 ms" in text
    told = json.loads(stack.run("logs", "--request", "one", "--json").stdout)
    (request,) = told["requests"]
    assert [step["where"] for step in request["steps"]] == ["balancer", "app1", "unstable"]
    gone = stack.run("logs", "--request", "two")
    assert gone.returncode == 1
    (only,) = gone.stderr.splitlines()
    assert only.startswith("error: no line of the access logs tells of request two (3 files")
    empty = stack.run("logs", "--request", "two", "--json")
    assert (empty.returncode, json.loads(empty.stdout)["requests"]) == (1, [])
