"""`python -m tests.bench` as a user runs it, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.bench import report

PROJECT = Path(__file__).parents[2]
README = "# Speed\n<!-- bench:begin store -->\n<!-- bench:end -->\n"


def bench(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=PROJECT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "spede"], "'spede' is no benchmark; there are balancer-requests"),
        (["run", "--quick", "--full"], "--quick and --full: one of them"),
        (["paste", "/nowhere/README.md"], "/nowhere/README.md: No such file or directory"),
        (["measure"], "No such command 'measure'"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(arguments: list[str], words: str):
    done = bench(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_a_report_the_command_that_makes_one_is_named(tmp_path: Path):
    for command in (["show"], ["paste", str(tmp_path / "README.md")]):
        (tmp_path / "README.md").write_text(README)
        done = bench(*command, "--reports", str(tmp_path))
        assert done.returncode == 1
        assert "to make it: make bench" in done.stderr


def test_a_measurement_is_printed_reported_and_pasted(tmp_path: Path):
    done = bench("run", "--quick", "store", "--reports", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "redis-py's pool" in done.stdout
    (result,) = report.load(tmp_path / "bench-quick.json")
    assert result.rows
    assert "Plotly" in (tmp_path / "bench-quick.html").read_text()
    assert not (tmp_path / "bench.json").exists(), "a quick run's figures are none"

    # The same, as a full run leaves it.
    report.save(tmp_path / "bench.json", [result], ["store"])
    readme = tmp_path / "README.md"
    readme.write_text(README)
    assert bench("paste", str(readme), "--check", BENCH_REPORTS=str(tmp_path)).returncode == 1
    assert readme.read_text() == README
    assert bench("paste", str(readme), BENCH_REPORTS=str(tmp_path)).returncode == 0
    assert "| ours |" in readme.read_text()
    assert bench("paste", str(readme), "--check", BENCH_REPORTS=str(tmp_path)).returncode == 0
    assert "ours" in bench("show", BENCH_REPORTS=str(tmp_path)).stdout


@contextmanager
def measuring(temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has got as far as having programs of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench", "run", "pool-spread", "--reports", str(temporary)],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        eventually(lambda: len(descendants(process)) >= 6)
        yield process
    finally:
        process.kill()
        process.communicate()


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def eventually(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_it_ends_what_it_started_and_only_that(tmp_path: Path, number: signal.Signals):
    with measuring(tmp_path) as process:
        started = descendants(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number is signal.SIGINT else 128 + signal.SIGTERM)
    assert b"Traceback" not in errors
    assert not [one for one in started if one.is_running() and one.status() != "zombie"]
    assert list(tmp_path.glob("keeps-answering-bench-*")) == []


def test_what_it_started_ends_even_when_it_is_killed(tmp_path: Path):
    if shutil.which("setpriv") is None:  # only the kernel can do it, and only Linux' does
        assert sys.platform != "linux", "util-linux belongs to every Linux system"
        return
    with measuring(tmp_path) as process:
        started = descendants(process)
        process.kill()
        eventually(
            lambda: not [one for one in started if one.is_running() and one.status() != "zombie"]
        )
