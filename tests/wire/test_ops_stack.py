"""A stack that runs: up, status, logs, bare supervisord, with stand-in programs."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops_stack import Stack, eventually, free_port, said


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        yield one


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


def test_what_the_user_exports_reaches_the_programs_but_makes_own_variables_do_not(stack: Stack):
    stack.web("door", "--show", "UNSTABLE_FAILURE_RATE")
    stack.web("other", "--show", "MAKEFLAGS")
    assert stack.up(UNSTABLE_FAILURE_RATE="0.8", MAKEFLAGS="w").returncode == 0
    assert "UNSTABLE_FAILURE_RATE=0.8" in stack.log("door")
    assert "MAKEFLAGS=None" in stack.log("other")


def test_up_beside_a_start_that_goes_on_waits_for_it_and_says_that_it_already_runs(stack: Stack):
    stack.web("slow", "--ready-after", "4")
    for folder in ("var/log", "var/run"):
        (stack.folder / folder).mkdir(parents=True)
    assert stack.command("supervisord", "-c", "supervisord.conf").returncode == 0
    eventually(lambda: stack.state("slow") == "RUNNING")
    done = stack.up()
    assert done.returncode == 0, said(done)
    assert re.search(r"✓ slow +ready after", done.stdout)
    assert "It already runs (supervisord has pid" in done.stdout
    assert "All is well" in done.stdout


def test_up_beside_a_start_that_fails_says_so_and_stops_nothing(stack: Stack):
    stack.web("door")
    stack.web("slow", "--ready-after", "1000")
    for folder in ("var/log", "var/run"):
        (stack.folder / folder).mkdir(parents=True)
    assert stack.command("supervisord", "-c", "supervisord.conf").returncode == 0
    eventually(lambda: stack.state("slow") == "RUNNING")
    done = stack.up("--timeout", "2")
    assert done.returncode == 3, said(done)
    assert "slow does not get ready (answers 503)" in done.stderr
    assert (stack.state("slow"), stack.state("door")) == ("RUNNING", "RUNNING")


def interrupted(stack: Stack, *arguments: str, after: str) -> subprocess.CompletedProcess[str]:
    """Ctrl-C as soon as the command has begun to say `after`."""
    begun = subprocess.Popen(
        (sys.executable, "-u", "-m", "monitoring", *arguments),
        cwd=stack.folder, env=stack.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert begun.stdout is not None
    for line in begun.stdout:
        if after in line:
            break
    begun.send_signal(signal.SIGINT)
    output, errors = begun.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, begun.returncode, output, errors)


def test_ctrl_c_while_it_waits_is_one_line_and_make_up_goes_on(stack: Stack):
    stack.web("fast")
    stack.web("slow", "--ready-after", "6")
    done = interrupted(stack, "up", "--no-servers", after="fast")
    assert done.returncode == 130, said(done)
    (line,) = done.stderr.splitlines()
    assert line == (
        f"Interrupted: supervisord (pid {stack.supervisor.pid()}) goes on starting the programs. "
        "To wait for them: make up; to end them: make down"
    )
    assert stack.up().returncode == 0


def test_ctrl_c_at_any_moment_of_a_start_is_one_line(stack: Stack):
    stack.web("slow", "--ready-after", "1000")
    moments = 0
    for tenths in range(1, 30, 3):
        begun = subprocess.Popen(
            (sys.executable, "-m", "monitoring", "up", "--no-servers"),
            cwd=stack.folder, env=stack.environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            begun.wait(tenths / 10)
        errors = interrupt_until_it_ends(begun)
        if "Interrupted" not in errors and "/monitoring/" not in errors:
            continue  # Python itself was not up yet: before the first line of ours
        if "Exception ignored" in errors:
            continue  # it came in a callback of Python's own start, where it is lost
        assert errors.startswith("Interrupted"), errors
        assert len(errors.splitlines()) == 1, errors
        # Python may end by the signal where it was executing text; to the shell both are 130
        assert begun.returncode in (130, -signal.SIGINT)
        moments += 1
    assert moments >= 5
    assert stack.run("down").returncode == 0


def interrupt_until_it_ends(command: subprocess.Popen[str]) -> str:
    """Ctrl-C, and again when nothing happens, as people do. Returns what it said as an error."""
    for _ in range(6):
        command.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return command.communicate(timeout=10)[1]
    raise AssertionError("Ctrl-C does not end it")


def test_ctrl_c_in_a_stop_is_one_line_and_make_down_goes_on(stack: Stack):
    ignore = "import signal,time;signal.signal(15,signal.SIG_IGN);time.sleep(600)"
    stack.section("program:deaf", f'{sys.executable} -c "{ignore}"', stopwaitsecs="3")
    assert stack.up().returncode == 0
    done = interrupted(stack, "down", after="stopping deaf")
    assert done.returncode == 130
    assert done.stderr == "Interrupted: not everything has ended. To go on: make down\n"
    assert stack.run("down").returncode == 0
    assert stack.left_running() == []


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
