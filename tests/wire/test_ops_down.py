"""`make down`, also after accidents: everything ends, or is named."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.ops_stack import Stack, eventually, free_port, said


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        yield one


def test_a_supervisord_that_was_killed_leaves_programs_that_up_names_and_down_ends(stack: Stack):
    stack.web("door")
    assert stack.up().returncode == 0
    psutil.Process(stack.supervisor.pid()).kill()
    eventually(lambda: stack.run("status", "--json").stdout.find('"supervisor_pid": 0') > 0)
    (orphan,) = stack.left_running()

    refused = stack.up()
    assert refused.returncode == 1
    assert "programs of an earlier start still run" in refused.stderr
    first, *programs = refused.stderr.splitlines()
    assert first.endswith("To end them: make down")
    assert programs == [f"  door (pid {orphan.pid})"]

    ended = stack.run("down")
    assert ended.returncode == 0, said(ended)
    assert f"pid {orphan.pid}" in ended.stdout
    assert stack.left_running() == []
    assert stack.up().returncode == 0


def test_a_supervisord_whose_socket_was_deleted_is_ended_with_all_it_started(stack: Stack):
    stack.web("door")
    assert stack.up().returncode == 0
    supervisord = stack.supervisor.pid()
    shutil.rmtree(stack.folder / "var")
    assert f"supervisord (pid {supervisord}" in stack.up().stderr
    done = stack.run("down")
    assert done.returncode == 0, said(done)
    assert not psutil.pid_exists(supervisord)
    assert stack.left_running() == []


def test_an_orphan_that_ignores_sigterm_is_named_with_the_command_that_ends_it(stack: Stack):
    ignore = "import signal,time;signal.signal(15,signal.SIG_IGN);time.sleep(600)"
    stack.section("program:deaf", f'{sys.executable} -c "{ignore}"', stopwaitsecs="1")
    assert stack.up().returncode == 0
    psutil.Process(stack.supervisor.pid()).kill()
    eventually(lambda: "supervisord is not running" in stack.run("down").stdout)
    done = stack.run("down")
    (orphan,) = stack.left_running()
    assert done.returncode == 1
    assert f"kill -9 {orphan.pid}" in done.stderr


def test_status_and_down_know_the_ports_that_up_was_given(stack: Stack):
    stack.web("door")
    moved = free_port()
    assert stack.up(DOOR_PORT=str(moved)).returncode == 0
    status = stack.run("status")  # DOOR_PORT is not set here
    assert status.returncode == 0, said(status)
    assert f"http://127.0.0.1:{moved}/" in status.stdout
    assert stack.run("down").returncode == 0


def test_down_ends_everything_with_its_children_and_leaves_nothing(stack: Stack):
    stack.web("door")
    script = stack.folder / "parent.py"
    script.write_text("import subprocess\nsubprocess.run(['sleep', '600'])\n")
    stack.section("program:parent", f"{sys.executable} {script}")
    assert stack.up().returncode == 0
    supervisord = psutil.Process(stack.supervisor.pid())
    eventually(lambda: len(supervisord.children(recursive=True)) == 3)
    everyone = [supervisord, *supervisord.children(recursive=True)]
    done = stack.run("down")
    assert done.returncode == 0, said(done)
    assert "nothing is left behind" in done.stdout
    assert not [one for one in everyone if one.is_running()]
    assert stack.run("down").stdout.startswith("Nothing runs here")


def test_down_takes_the_front_door_away_first(stack: Stack):
    stack.web("store", priority="100")
    stack.web("door", priority="400")
    assert stack.up().returncode == 0
    assert stack.run("down").returncode == 0
    log = stack.log("supervisord")
    assert log.index("stopped: door") < log.index("stopped: store")
