"""The example in the package's docstring works as it stands."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import workers
from tests.running_pool import eventually, free_port

__all__ = ["free_port"]  # fixture


def blocks() -> list[str]:
    """The indented blocks of the docstring, in order."""
    lines = (workers.__doc__ or "").splitlines()
    found: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("    ") or (not line and found[-1]):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [textwrap.dedent("\n".join(block)).strip() for block in found if block]


def test_any_asyncio_server_runs_on_the_pool_in_ten_lines(tmp_path: Path, free_port: int):
    parent, served = blocks()
    (tmp_path / "echo.py").write_text(served)
    source = parent.replace("7000", str(free_port)).replace(
        "workers=2)", f"workers=2, run_dir=__import__('pathlib').Path('{tmp_path}'))"
    )
    assert str(free_port) in source
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: echo(free_port) == b"hello", "the echo answers")
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


def echo(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"hello")
        return connection.recv(100)


def test_status_without_a_pool_is_one_line_and_a_failure(tmp_path: Path):
    for options in ((), ("--json",)):
        done = subprocess.run(
            (sys.executable, "-m", "workers", "status", "--run-dir", tmp_path, *options),
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line == f"workers: no pool runs here (looked in {tmp_path}); to start them: make up"
        assert done.stdout == ("" if not options else '{\n  "pools": []\n}\n')
