"""What keeps `make up` from its end, each told in a line that says what to do."""

from __future__ import annotations

import os
import pwd
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from monitoring.stack.ownership import make_folders
from monitoring.stack.project import StackError, open_project
from tests.ops_stack import Stack, said


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        yield one


def test_a_port_in_use_names_port_program_holder_and_variable_and_nothing_is_started(stack: Stack):
    port = stack.web("door")
    with socket.create_server(("127.0.0.1", port)):
        done = stack.up()
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith(f"error: port {port} on 127.0.0.1 is in use by ")
    assert f"(pid {psutil.Process().pid}" in line
    assert ", and door wants it; stop that one, or move it: DOOR_PORT=" in line
    assert re.search(r"DOOR_PORT=\d+ make up", line)
    assert not (stack.folder / "var/run/supervisord.pid").exists()
    assert stack.left_running() == []


def test_the_port_that_is_proposed_works(stack: Stack):
    port = stack.web("door")
    with socket.create_server(("127.0.0.1", port)):
        line = stack.up().stderr
        proposed = re.search(r"DOOR_PORT=(\d+)", line)
        assert proposed is not None
        done = stack.up(DOOR_PORT=proposed[1])
    assert done.returncode == 0, said(done)
    assert f"http://127.0.0.1:{proposed[1]}/" in done.stdout


def test_the_port_of_an_optional_program_is_a_note_and_everything_else_starts(stack: Stack):
    stack.web("door")
    port = stack.web("charts", stack_optional="true", startsecs="1")
    with socket.create_server(("127.0.0.1", port)):
        done = stack.up()
    assert done.returncode == 0, said(done)
    assert f"note: port {port} on 127.0.0.1 is in use by " in done.stdout
    assert stack.state("door") == "RUNNING"


def test_every_port_in_use_is_told_at_once(stack: Stack):
    first, second = stack.web("a"), stack.web("b")
    with (
        socket.create_server(("127.0.0.1", first)),
        socket.create_server(("127.0.0.1", second)),
    ):
        done = stack.up()
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("bad", ["http", "0", "65536"])
def test_a_port_that_is_none_is_one_line(stack: Stack, bad: str):
    stack.web("door")
    done = stack.up(DOOR_PORT=bad)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: DOOR_PORT='{bad}' is not a port: a number from 1 to 65535 is allowed"
    ]


def test_a_program_that_keeps_dying_is_named_with_its_last_words_and_all_is_stopped(stack: Stack):
    stack.web("fine")
    stack.section(
        "program:sick", f'{sys.executable} -c "print(6 * 7); print(7 * 7); exit(5)"', startsecs="1"
    )
    done = stack.up()
    assert done.returncode == 1
    assert "error: sick does not get ready" in done.stderr
    assert done.stderr.endswith("    42\n    49\n")
    assert str(stack.folder.resolve() / "var/log/sick.log") in done.stderr
    said(done)
    assert stack.left_running() == []
    assert stack.run("status").returncode == 3


def test_a_program_that_says_one_thing_and_dies_is_told_in_one_line(stack: Stack):
    stack.section("program:sick", f'{sys.executable} -c "print(6 * 7); exit(5)"', startsecs="1")
    log = stack.folder.resolve() / "var/log/sick.log"
    assert stack.up().stderr == f"error: sick does not start: 42 (log: {log})\n"


def test_last_words_of_an_earlier_start_are_not_shown_as_if_they_were_new(stack: Stack):
    log = stack.folder / "var/log/sick.log"
    log.parent.mkdir(parents=True)
    log.write_text("an old story\n")
    stack.section("program:sick", f'{sys.executable} -c "print(6 * 7); exit(5)"', startsecs="1")
    done = stack.up()
    assert "42" in done.stderr
    assert "old story" not in done.stderr


def test_a_program_that_never_gets_ready_fails_the_start_when_the_time_is_up(stack: Stack):
    stack.web("slow", "--ready-after", "1000")
    done = stack.up("--timeout", "2")
    assert done.returncode == 1
    assert "error: slow does not get ready (answers 503)" in done.stderr
    assert stack.left_running() == []


@contextmanager
def ordinary_user(folder: Path, *, but: Path) -> Iterator[str]:
    """The name of an ordinary user, who we are inside the block and whose the folder is, `but`
    one file. Tests run as root or not: when we are no root, that file is read-only."""
    if os.geteuid() != 0:
        but.chmod(0o444)
        yield pwd.getpwuid(os.geteuid()).pw_name
        return
    nobody = pwd.getpwnam("nobody")
    for place in (folder, *folder.rglob("*")):
        if place != but:
            os.chown(place, nobody.pw_uid, nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    try:
        yield nobody.pw_name
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("place", ["ids", "redis1/appendonlydir/x", "run/metrics/app/app1"])
def test_what_root_left_under_var_is_told_at_the_start_with_the_command_that_mends_it(
    stack: Stack, place: str
):
    stack.web("door")
    project = open_project(stack.folder, stack.environ)
    make_folders(project)
    var = project.root / "var"
    left = var / place
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_text("")
    with ordinary_user(stack.folder, but=left) as name, pytest.raises(StackError) as refused:
        make_folders(project)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{left} is not writable, ")
    mend = f"sudo chown -R {name} {var}" if os.geteuid() == 0 else f"chmod -R u+rwX {var}"
    assert line.endswith(f" To mend it: {mend}")


def test_var_that_is_no_folder_is_one_line(stack: Stack):
    stack.web("door")
    (stack.folder / "var").write_text("")
    done = stack.up()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "var/log is not writable" in line
    assert line.endswith(
        f"To mend it: mv {stack.folder.resolve()}/var {stack.folder.resolve()}/var.old"
    )


def test_a_socket_path_beyond_the_systems_limit_is_one_line():
    deep = Path(tempfile.mkdtemp(prefix="ops")) / ("d" * 90)
    with Stack(deep) as stack:
        stack.web("door")
        done = stack.up()
    assert done.returncode == 1
    assert "control socket is longer than" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_a_stack_is_one_line(tmp_path: Path):
    with Stack(tmp_path / "x") as stack:
        (stack.folder / "supervisord.conf").unlink()
        done = stack.run("status")
        (stack.folder / "supervisord.conf").write_text("")
    assert done.returncode == 1
    assert "no supervisord.conf can be read" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_supervisord_itself_refuses_is_one_line(stack: Stack):
    stack.section("program:odd", "true", numprocs="none")
    done = stack.up()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "supervisord did not start: Error" in line


def test_an_optional_program_that_crashes_does_not_stop_the_start(stack: Stack):
    stack.web("door")
    stack.section("program:charts", "false", startsecs="1", stack_optional="true")
    done = stack.up()
    assert done.returncode == 0, said(done)
    assert "charts" in done.stdout
    assert "the rest runs without it" in done.stdout


def test_an_optional_program_that_fails_is_named_with_the_last_line_of_its_log(stack: Stack):
    stack.web("door")
    stack.section(
        "program:charts",
        f'{sys.executable} -c "print(6 * 7); exit(5)"',
        startsecs="1",
        stack_optional="true",
    )
    done = stack.up()
    assert done.returncode == 0, said(done)
    assert re.search(r"✗ charts .*: the rest runs without it\n +42\n", done.stdout)
    again = stack.up()
    status = stack.run("status")
    for done in (again, status):
        assert done.returncode == 0, said(done)
        assert "charts is failing, and the rest runs without it." in done.stdout
        assert "charts said last: 42 (make logs NAME=charts)" in done.stdout


def test_two_stacks_run_side_by_side(stack: Stack):
    stack.web("door")
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as second:
        (second.folder / "supervisord.conf").write_text(
            (stack.folder / "supervisord.conf").read_text()
        )
        assert stack.up().returncode == 0
        in_the_way = second.up()
        assert in_the_way.returncode == 1
        assert str(stack.folder.resolve()) in in_the_way.stderr
        proposed = re.search(r"DOOR_PORT=(\d+)", in_the_way.stderr)
        assert proposed is not None
        assert second.up(DOOR_PORT=proposed[1]).returncode == 0
        assert second.run("down").returncode == 0
        assert stack.run("status").returncode == 0
