"""Start, stop and repeat: the process as supervisord and a user at a shell see it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire.unstable_process import CALM, PROJECT, Unstable, eventually


def refused(*options: str, **environment: str) -> tuple[int, str]:
    """Exit code and stderr of a start that must fail."""
    ended = subprocess.run(
        [sys.executable, "-m", "unstable", *options],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def is_one_line(text: str) -> bool:
    return text.startswith("unstable: ") and text.count("\n") == 1 and "Traceback" not in text


def test_a_port_in_use_names_the_port_its_holder_and_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        code, errors = refused("--listen", f"127.0.0.1:{port}")
    assert code == 1
    assert errors.startswith(f"unstable: port {port} on 127.0.0.1 is in use by pid {os.getpid()} (")
    assert errors.endswith("); free it or set UNSTABLE_PORT to move it\n")
    assert is_one_line(errors)


LISTEN = ("--listen", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["--listen", "UNSTABLE_LISTEN"]),
        (("--listen", "4000"), ["--listen", "HOST:PORT", "'4000'"]),
        (("--listen", "127.0.0.1:70000"), ["--listen", "127.0.0.1:70000"]),
        ((*LISTEN, "--failure-rate", "1.5"), ["--failure-rate", "from 0 to 1", "got 1.5"]),
        ((*LISTEN, "--failure-rate", "nan"), ["--failure-rate", "from 0 to 1", "got NaN"]),
        ((*LISTEN, "--delay-rate", "lots"), ["--delay-rate", "from 0 to 1", '"lots"']),
        ((*LISTEN, "--delay-seconds", "-1"), ["--delay-seconds", "from 0 to 3600", "got -1"]),
        ((*LISTEN, "--seed", "1.5"), ["--seed", "whole number", '"1.5"']),
        ((*LISTEN, "--failure-status", "200"), ["--failure-status", "500 to 599", "got 200"]),
        ((*LISTEN, "--hang-rate", "0.8"), ["failure_rate 0.3 + hang_rate 0.8 is 1.1"]),
        ((*LISTEN, "--failures", "1"), ["--failures"]),
    ],
)
def test_a_bad_setting_is_one_line_with_name_value_and_limits(options, words):
    code, errors = refused(*options)
    assert code == 2
    assert is_one_line(errors)
    for word in words:
        assert word in errors


def test_a_bad_environment_variable_is_named():
    code, errors = refused(*LISTEN, UNSTABLE_DELAY_RATE="-0.1")
    assert (code, is_one_line(errors)) == (2, True)
    assert "UNSTABLE_DELAY_RATE" in errors
    assert "from 0 to 1, got -0.1" in errors


@pytest.mark.parametrize("option", ["--access-log", "--metrics-file"])
def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, option: str):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "below"
    code, errors = refused(*LISTEN, option, str(path))
    assert (code, is_one_line(errors)) == (1, True)
    assert str(path) in errors
    assert option in errors


def test_an_address_that_is_not_ours_is_one_line():
    code, errors = refused("--listen", "192.0.2.1:4000")
    assert (code, is_one_line(errors)) == (1, True)
    assert "port 4000 on 192.0.2.1" in errors


def test_settings_come_from_the_environment_and_options_win():
    with Unstable(
        "--delay-rate", "0.25",
        UNSTABLE_FAILURE_RATE="0.5", UNSTABLE_DELAY_RATE="0.75", UNSTABLE_SEED="9",
        UNSTABLE_HANG_RATE="0.125", UNSTABLE_DELAY_SECONDS="",
    ) as unstable:  # fmt: skip
        shown = unstable.faults()
    assert (shown["failure_rate"], shown["delay_rate"], shown["seed"]) == (0.5, 0.25, 9)
    assert (shown["hang_rate"], shown["delay_seconds"]) == (0.125, 3.0)


@pytest.mark.parametrize(
    "fault",
    [
        {"hang_rate": 1},
        {"delay_rate": 1, "delay_seconds": 3600},
        {"drip_rate": 1, "drip_seconds": 3600},
    ],
)
def test_sigterm_is_obeyed_at_once_whatever_hangs(tmp_path: Path, fault: dict[str, float]):
    log = tmp_path / "access.jsonl"
    with Unstable(*CALM, "--access-log", str(log)) as unstable:
        unstable.set(**fault)
        waiting = [unstable.send() for _ in range(20)]
        idle = unstable.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: unstable.metric("http_requests_in_flight") == 21)
        code, errors, seconds = unstable.terminate()
        for connection in [*waiting, idle]:
            connection.close()
    assert (code, errors) == (0, "")
    assert seconds < 5  # a second on an idle machine; hours if one of them were waited for
    statuses = [json.loads(line)["status"] for line in log.read_text().splitlines()]
    assert statuses.count(444) == 20  # their lines are not lost


def test_a_request_that_is_nearly_done_when_sigterm_comes_gets_its_answer():
    with Unstable(*CALM) as unstable:
        unstable.set(delay_rate=1, delay_seconds=0.2)
        with unstable.send() as connection:
            assert eventually(lambda: unstable.metric("http_requests_in_flight") == 2)
            code, _, _ = unstable.terminate()
            assert connection.recv(1000).endswith(b'"External service OK"}')
    assert code == 0


def test_after_a_stop_the_port_can_be_taken_again_at_once():
    with Unstable(*CALM) as first:
        first.ask()
        held = first.send()
        first.terminate()
        with Unstable(*CALM, port=first.port) as second:
            assert second.ask()[0] == 200
        held.close()


def test_two_runs_with_one_seed_are_the_same_and_another_seed_is_another_run(tmp_path: Path):
    def run(seed: str, name: str) -> list[str]:
        log = tmp_path / name
        options = ("--seed", seed, "--delay-seconds", "0", "--access-log", str(log))
        with Unstable(*options) as unstable:
            for _ in range(100):
                unstable.ask()
            assert unstable.terminate()[0] == 0
        return [json.loads(line)["fault"] for line in log.read_text().splitlines()]

    first = run("1", "first")
    assert set(first) == {"failure", "delay", "none"}
    assert run("1", "second") == first
    assert run("2", "third") != first


def test_a_run_without_a_seed_says_which_one_it_took_so_that_it_can_be_repeated():
    with Unstable("--delay-seconds", "0") as unstable:
        first = [unstable.ask()[0] for _ in range(50)]
        seed = int(unstable.announced.rpartition(" seed ")[2])
        assert unstable.faults()["seed"] == seed
    with Unstable("--delay-seconds", "0", "--seed", str(seed)) as again:
        assert [again.ask()[0] for _ in range(50)] == first


def test_counters_go_on_after_a_crash_when_they_have_a_file(tmp_path: Path):
    page = ("--metrics-file", str(tmp_path / "run" / "unstable"))
    with Unstable(*CALM, *page) as unstable:
        unstable.set(hang_rate=1)
        with unstable.send():
            assert eventually(lambda: unstable.metric("faults_total", kind="hang") == 1)
            unstable.process.kill()
            unstable.process.wait()
    with Unstable(*CALM, *page) as unstable:
        assert unstable.metric("faults_total", kind="hang") == 1
        assert unstable.metric("http_requests_in_flight") == 1  # the crashed one is not in flight


def test_help_names_every_option_with_its_variable_and_default():
    ended = subprocess.run(
        [sys.executable, "-m", "unstable", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    text = " ".join(ended.stdout.split())
    for name in ("failure-rate", "delay-rate", "delay-seconds", "hang-rate", "seed", "access-log"):
        assert f"--{name}" in text
        assert f"UNSTABLE_{name.upper().replace('-', '_')}" in text
    assert "default: 0.3" in text
