"""The guardian under a real supervisord, and its half of the event protocol."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.guardian.__main__ import events
from tests.ops_stack import PROGRAM, Stack, eventually


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        one.section(
            "eventlistener:guardian",
            f"{sys.executable} -m monitoring.guardian --first-delay 0.5 --longest-delay 2",
            events="PROCESS_STATE",
            buffer_size="100",
            stdout_logfile="NONE",
        )
        one.section(
            "program:sick",
            f"{sys.executable} {PROGRAM} --needs {one.folder}/medicine",
            startretries="0",
            startsecs="1",
        )
        one.web("door")
        for folder in ("var/log", "var/run"):
            (one.folder / folder).mkdir(parents=True)
        assert one.command("supervisord", "-c", "supervisord.conf").returncode == 0
        eventually(lambda: one.state("guardian") == "RUNNING")
        yield one


def test_a_program_in_fatal_is_running_again_once_it_can_be(stack: Stack):
    eventually(lambda: "sick is started again" in stack.log("guardian"))
    assert "sick is in FATAL: start again in " in stack.log("guardian")
    (stack.folder / "medicine").write_text("")
    eventually(lambda: stack.state("sick") == "RUNNING")


def test_what_the_user_stopped_stays_stopped_while_others_are_brought_back(stack: Stack):
    stack.command("supervisorctl", "stop", "door")
    eventually(lambda: stack.log("guardian").count("sick is started again") >= 2)
    assert stack.state("door") == "STOPPED"
    assert "door" not in stack.log("guardian")


def test_a_program_that_is_ended_by_its_user_between_two_tries_stays_so(stack: Stack):
    (stack.folder / "medicine").write_text("")
    eventually(lambda: stack.state("sick") == "RUNNING")
    stack.command("supervisorctl", "stop", "sick")
    time.sleep(2.5)  # longer than the longest delay
    assert stack.state("sick") == "STOPPED"


def test_a_guardian_that_was_killed_comes_back_and_finds_what_is_in_fatal(stack: Stack):
    eventually(lambda: "sick is in FATAL" in stack.log("guardian"))
    os.kill(stack.supervisor.processes()["guardian"].pid, signal.SIGKILL)
    (stack.folder / "medicine").write_text("")
    eventually(lambda: stack.state("sick") == "RUNNING")


def test_a_hanging_supervisord_does_not_end_the_guardian(stack: Stack):
    (stack.folder / "medicine").write_text("")
    guardian = stack.supervisor.processes()["guardian"].pid
    pid = stack.supervisor.pid()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3.5)  # the time limit of a call is 3 s
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: stack.state("sick") == "RUNNING")
    assert stack.supervisor.processes()["guardian"].pid == guardian


def test_started_by_hand_it_says_who_starts_it():
    done = subprocess.run(
        (sys.executable, "-m", "monitoring.guardian"),
        capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Error: this is started by supervisord, as an [eventlistener:…]\n"


def event(name: str, payload: str) -> str:
    return (
        f"ver:3.0 server:s serial:1 pool:g poolserial:1 eventname:{name} len:{len(payload)}\n"
        + (payload)
    )


def test_every_event_is_acknowledged_before_anything_is_done_about_it():
    fatal = "processname:app1 groupname:app1 from_state:BACKOFF"
    source = io.StringIO(event("PROCESS_STATE_FATAL", fatal) + event("TICK_5", "when:1"))
    sink = io.StringIO()
    changes = events(source, sink)
    assert next(changes) == ("app1", "FATAL")
    assert sink.getvalue() == "READY\nRESULT 2\nOK"
    assert list(changes) == []
    assert sink.getvalue() == "READY\nRESULT 2\nOK" * 2 + "READY\n"


def test_a_pipe_that_closes_ends_it_quietly():
    assert list(events(io.StringIO(""), io.StringIO())) == []
