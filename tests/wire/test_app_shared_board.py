"""What workers know together, over real processes that are killed in the middle of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.resilience import (
    BreakerPolicy,
    BreakerState,
    BudgetPolicy,
    HedgePolicy,
    Permit,
    Phase,
    Verdict,
)
from app.resilience.board import CALLS, EXTRAS
from app.resilience.guard import Guard
from app.shared_board import SharedBoard
from tests.bench.programs import PROJECT

_WORKER = """
import sys, time, random
from pathlib import Path
from app.shared_board import SharedBoard
from app.resilience import *
from app.resilience.guard import Guard
shared = SharedBoard(Path(sys.argv[1]))
guard = Guard(shared.board, BreakerPolicy(), BudgetPolicy(), HedgePolicy(), random.random)
print("ready", flush=True)
"""
_FAILS = (
    _WORKER
    + """
for _ in range(int(sys.argv[2])):
    guard.ended(guard.admit(time.monotonic()), Verdict.FAILURE, time.monotonic())
print(int(shared.board.phase()), flush=True)
time.sleep(60)
"""
)
_WRITES = (
    _WORKER
    + """
epoch = 0
while True:  # every field of a state is its epoch: a torn one would show
    epoch += 1
    state = BreakerState(Phase.OPEN, epoch, epoch, epoch, epoch, epoch, epoch, epoch, (epoch,) * 3)
    shared.board.change(lambda _: (state, None), None)
    guard.may_spend(time.monotonic(), False)
    shared.board.took(0.002, time.monotonic())
"""
)
_HOLDS_THE_LOCK = (
    _WORKER
    + """
with shared.lock() as held:
    print(held, flush=True)
    time.sleep(60)
"""
)


def worker(script: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path), *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert _line(process) == "ready"
    return process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def guard(shared: SharedBoard) -> Guard:
    return Guard(shared.board, BreakerPolicy(), BudgetPolicy(), HedgePolicy(), random.random)


def test_twenty_failures_in_all_are_enough_for_every_worker(tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    processes = [worker(_FAILS, path, "7") for _ in range(3)]
    phases = [_line(process) for process in processes]
    assert "1" in phases
    shared = SharedBoard(path)
    assert shared.board.phase() == Phase.OPEN
    assert guard(shared).admit(time.monotonic()) is None
    for process in processes:
        kill(process)
    assert shared.board.phase() == Phase.OPEN
    shared.close()


def test_a_worker_killed_at_any_instruction_leaves_a_state_that_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    shared = SharedBoard(path)
    dice = random.Random(5)
    for _ in range(12):
        process = worker(_WRITES, path)
        time.sleep(dice.uniform(0.0, 0.05))
        kill(process)
        state = shared.board.breaker()
        numbers = {state.epoch, state.since, state.until, state.openings, *state.leases}
        assert len(numbers) == 1, state
        assert shared.board.change(lambda _: (BreakerState(), True), otherwise=False), "lock held"
    shared.close()


def test_a_frozen_worker_that_holds_the_lock_makes_nobody_wait(tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    process = worker(_HOLDS_THE_LOCK, path)
    assert _line(process) == "True"
    os.kill(process.pid, signal.SIGSTOP)
    shared = SharedBoard.__new__(SharedBoard)
    try:
        shared = SharedBoard(path, claim=False)
        here = guard(shared)
        started = time.monotonic()
        permit = here.admit(time.monotonic())
        assert permit is not None
        for _ in range(100):
            here.ended(permit, Verdict.FAILURE, time.monotonic())
        assert time.monotonic() - started < 1.0
    finally:
        kill(process)
    here.ended(permit, Verdict.FAILURE, time.monotonic())
    assert shared.board.phase() == Phase.OPEN  # counted all the while, and seen now
    shared.close()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\x00" * 300_000, b"upstream" + b"\xff" * 99]
)
def test_a_file_of_another_version_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "upstream"
    path.write_bytes(content)
    shared = SharedBoard(path)
    assert guard(shared).admit(time.monotonic()) == Permit(0)
    shared.close()


def test_a_spoilt_record_counts_as_closed(tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    SharedBoard(path).close()
    with path.open("r+b") as file:
        file.seek(64)
        file.write(b"\xff" * 320)
    shared = SharedBoard(path)
    here = guard(shared)
    assert here.admit(time.monotonic()) is not None
    assert shared.board.breaker() == BreakerState()
    shared.close()


def test_rows_are_given_to_one_worker_each_and_those_of_the_dead_again(tmp_path: Path) -> None:
    path = tmp_path / "upstream"
    boards = [SharedBoard(path) for _ in range(3)]
    now = time.monotonic()
    for shared in boards:
        shared.board.count(CALLS, now)
        shared.board.count(EXTRAS, now)
    assert boards[0].board.counted(CALLS, EXTRAS, 10.0, now) == (3, 3)
    boards[1].close()
    again = SharedBoard(path)
    again.board.count(CALLS, now)
    assert again.board.counted(CALLS, EXTRAS, 10.0, now) == (4, 3)
    for shared in (boards[0], boards[2], again):
        shared.close()
