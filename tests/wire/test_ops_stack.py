"""up, down, status and logs with a real supervisord and stand-in programs."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.ops_stack import Stack, eventually, free_port


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        yield one


def said(done: subprocess.CompletedProcess[str]) -> str:
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert "Warning" not in text
    return text


# ---- what goes wrong


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


def test_a_supervisord_that_was_killed_leaves_programs_that_up_names_and_down_ends(stack: Stack):
    stack.web("door")
    assert stack.up().returncode == 0
    psutil.Process(stack.supervisor.pid()).kill()
    eventually(lambda: stack.run("status", "--json").stdout.find('"supervisor_pid": 0') > 0)
    (orphan,) = stack.left_running()

    refused = stack.up()
    assert refused.returncode == 1
    assert "programs of an earlier start still run" in refused.stderr
    assert f"pid {orphan.pid}" in refused.stderr
    assert "make down" in refused.stderr

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


def test_var_that_is_no_folder_is_one_line(stack: Stack):
    stack.web("door")
    (stack.folder / "var").write_text("")
    done = stack.up()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "var/log is not writable" in line


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


# ---- what goes well


def test_up_waits_for_ready_not_for_alive_and_says_when_and_where(stack: Stack):
    port = stack.web("slow", "--ready-after", "2")
    stack.web("fast")
    done = stack.up()
    text = said(done)
    assert done.returncode == 0, text
    times = dict(re.findall(r"(\w+) +ready after +([\d.]+) s", text))
    assert float(times["slow"]) >= 2 > float(times["fast"]) - 1
    assert f"http://127.0.0.1:{port}/" in text
    assert "All is well: 2 programs are ready." in text
    assert "\x1b" not in text


def test_a_second_up_changes_nothing_and_says_so(stack: Stack):
    stack.web("door")
    assert stack.up().returncode == 0
    pids = {one.pid for one in stack.supervisor.processes().values()}
    again = stack.up()
    assert again.returncode == 0
    assert "It already runs (supervisord has pid " in again.stdout
    assert "All is well" in again.stdout
    assert {one.pid for one in stack.supervisor.processes().values()} == pids


def test_status_and_down_know_the_ports_that_up_was_given(stack: Stack):
    stack.web("door")
    moved = free_port()
    assert stack.up(DOOR_PORT=str(moved)).returncode == 0
    status = stack.run("status")  # DOOR_PORT is not set here
    assert status.returncode == 0, said(status)
    assert f"http://127.0.0.1:{moved}/" in status.stdout
    assert stack.run("down").returncode == 0


def test_what_the_user_exports_reaches_the_programs_but_makes_own_variables_do_not(stack: Stack):
    stack.web("door", "--show", "UNSTABLE_FAILURE_RATE")
    stack.web("other", "--show", "MAKEFLAGS")
    assert stack.up(UNSTABLE_FAILURE_RATE="0.8", MAKEFLAGS="w").returncode == 0
    assert "UNSTABLE_FAILURE_RATE=0.8" in stack.log("door")
    assert "MAKEFLAGS=None" in stack.log("other")


def test_a_stopped_program_is_named_and_the_exit_code_is_supervisorctls(stack: Stack):
    stack.web("door")
    stack.web("other")
    assert stack.up().returncode == 0
    assert stack.command("supervisorctl", "stop", "other").returncode == 0
    status = stack.run("status")
    assert status.returncode == 3
    assert "Degraded: other is stopped." in status.stdout
    told = json.loads(stack.run("status", "--json").stdout)
    assert (told["level"], told["sentence"]) == ("degraded", "Degraded: other is stopped.")


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


def test_an_optional_server_that_is_missing_ends_as_exited_with_the_line_and_all_is_well(
    stack: Stack,
):
    stack.web("door")
    port = free_port()
    (stack.folder / "grafana.ini").write_text("")
    stack.section(
        "program:grafana",
        f"{sys.executable} -m monitoring.launch grafana grafana.ini --port {port} --data var/g "
        "--prometheus http://127.0.0.1:9090",
        autorestart="unexpected",
        startsecs="1",
        stack_url=f"http://127.0.0.1:{port}/",
        stack_ready=f"http://127.0.0.1:{port}/",
        stack_optional="true",
    )
    done = stack.up()
    assert done.returncode == 0, said(done)
    assert "make grafana" in done.stdout
    assert stack.state("grafana") == "EXITED"
    assert "EXITED" in stack.command("supervisorctl", "status", "grafana").stdout


def test_an_optional_program_that_crashes_does_not_stop_the_start(stack: Stack):
    stack.web("door")
    stack.section("program:charts", "false", startsecs="1", stack_optional="true")
    done = stack.up()
    assert done.returncode == 0, said(done)
    assert "charts" in done.stdout
    assert "the rest runs without it" in done.stdout


def test_supervisord_and_supervisorctl_work_bare_from_the_folder(stack: Stack):
    stack.web("door")
    for folder in ("var/log", "var/run"):
        (stack.folder / folder).mkdir(parents=True)
    started = stack.command("supervisord", "-c", "supervisord.conf")
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    eventually(lambda: "RUNNING" in stack.command("supervisorctl", "status").stdout)
    assert "stopped" in stack.command("supervisorctl", "stop", "door").stdout
    assert "started" in stack.command("supervisorctl", "start", "door").stdout
    socket_mode = (stack.folder / "var/run/supervisor.sock").stat().st_mode & 0o777
    assert socket_mode == 0o700
    assert stack.command("supervisorctl", "shutdown").returncode == 0


def test_logs_show_all_programs_or_one_and_refuse_names_that_are_none(stack: Stack):
    stack.web("door", "--say", "knock")
    stack.web("other", "--say", "word")
    assert stack.up().returncode == 0
    everything = stack.run("logs").stdout
    assert re.search(r"^door +knock$", everything, re.M)
    assert re.search(r"^other +word$", everything, re.M)
    one = stack.run("logs", "door", "--lines", "1").stdout
    assert one.split() == ["door", "knock"]
    refused = stack.run("logs", "nobody")
    assert refused.returncode == 1
    assert "there are: door, other, supervisord" in refused.stderr


def test_logs_go_on_with_new_lines_also_after_a_rotation(stack: Stack):
    stack.web("door", "--say", "first")
    assert stack.up().returncode == 0
    follower = subprocess.Popen(
        (sys.executable, "-u", "-m", "monitoring", "logs", "door", "--follow"),
        cwd=stack.folder, env=stack.environ, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert follower.stdout is not None
        assert "first" in follower.stdout.readline()
        log = stack.folder / "var/log/door.log"
        with log.open("a") as file:
            file.write("second half")
            file.flush()
            file.write(" of a line\n")
        assert "second half of a line" in follower.stdout.readline()
        log.rename(log.with_suffix(".log.1"))
        log.write_text("new\n")
        assert "new" in follower.stdout.readline()
    finally:
        follower.send_signal(signal.SIGKILL)
        follower.communicate()


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
