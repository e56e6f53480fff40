"""Every drill in its short form on a real stack; broken products turn the right one red."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.drills.results import DrillResult
from tests.drills.run import RunSettings, run_drill, short_form
from tests.drills.scenarios import all_drills
from tests.drills.stack import DrillStack
from tests.running_stack import PROJECT, eventually

RATE = 40.0

LOST = "No acknowledged write is lost"


class Silent:
    def phase(self, name: str, seconds: float) -> None:
        """Nobody looks."""


def short(folder: Path, *, rate: float = RATE, capacity: float = 3 * RATE) -> RunSettings:
    return short_form(RunSettings(rate=rate, capacity=capacity, seed=7, folder=folder))


def run_short(name: str, stack: DrillStack, settings: RunSettings) -> DrillResult:
    return run_drill(all_drills()[name], stack, settings, Silent())


def broken(result: DrillResult) -> set[str]:
    return {finding.sentence for finding in result.broken}


def told(result: DrillResult) -> str:
    findings = "\n".join(f"  {f.held!s:5} {f.sentence}: {f.detail}" for f in result.findings)
    return f"{result.name}: {result.verdict} {result.reason}\n{findings}"


# The drills


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrillStack]:
    """One stack for all drills in their short form."""
    stack = DrillStack(tmp_path_factory.mktemp("drills"), seed=7)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture
def healthy(stack: DrillStack) -> Iterator[DrillStack]:
    yield stack
    stack.put_right()


# The overload needs a door of its own: see below. The long ones are for `make drill`.
@pytest.mark.parametrize(
    "name",
    [name for name, drill in all_drills().items() if name != "overload" and not drill.long],
)
def test_a_drill_finds_every_promise_kept(healthy: DrillStack, tmp_path: Path, name: str):
    result = run_short(name, healthy, short(tmp_path))
    assert result.verdict == "passed", told(result)
    assert result.acknowledged > 0
    assert result.requests >= RATE * 2
    assert result.recovery is not None, told(result)


# Products that are broken on purpose, each in a copy of its own

ACKNOWLEDGES_TOO_EARLY = """

_put, _later = ShardedStore.put, set()

async def _acknowledge_first(self, record_id, value):
    _later.add(asyncio.create_task(_put(self, record_id, value)))
    return Stored.REPLICATED

ShardedStore.put = _acknowledge_first
"""
NEVER_DRAINS = """

def _end_at_once(self):
    os._exit(0)

Worker.stop = _end_at_once
"""
NEVER_RETRIES = """

may_retry  # must exist, or this breaks nothing

def may_retry(*anything, **more):
    return False
"""
# Many requests are on their way at any time; the breaker stays closed.
SLOW = {
    "UNSTABLE_FAILURE_RATE": "0", "UNSTABLE_DELAY_RATE": "1", "UNSTABLE_DELAY_SECONDS": "0.4",
}  # fmt: skip


@dataclass(frozen=True)
class Build:
    """A product changed by code at the end of one file, and the drill that must notice."""

    drill: str
    file: str = "app/__init__.py"
    code: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    capacity: float = 3 * RATE


BUILDS = {
    "acknowledges too early": Build("both-redis-down", "shards/store.py", ACKNOWLEDGES_TOO_EARLY),
    "never drains": Build("restart-app1", "workers/worker.py", NEVER_DRAINS, SLOW),
    "never retries": Build("kill-worker", "balancer/retry.py", NEVER_RETRIES, SLOW),
}

# Not broken: a door for 24 requests at once, so that a few hundred a second are too many.
SMALL_DOOR = Build("overload", environ={"BALANCER_MAX_IN_FLIGHT": "6"}, capacity=6 / 0.05)


def build_and_drill(build: Build, folder: Path) -> DrillResult:
    stack = DrillStack(folder, seed=7, **build.environ)
    with (stack.root / build.file).open("a") as file:
        file.write(build.code)
    try:
        stack.up()
        return run_short(build.drill, stack, short(folder / "out", capacity=build.capacity))
    finally:
        stack.down()


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], DrillResult]:
    """What the drill says about a build; two run at the same time, for they wait most of it."""
    with ThreadPoolExecutor(2) as pool:
        running = {
            name: pool.submit(build_and_drill, build, tmp_path_factory.mktemp("build"))
            for name, build in BUILDS.items()
        }
    return lambda name: running[name].result()


def test_writes_acknowledged_before_they_are_stored_are_found_lost(
    verdict: Callable[[str], DrillResult],
):
    result = verdict("acknowledges too early")
    assert result.verdict == "failed", told(result)
    assert LOST in broken(result), told(result)
    assert result.lost > 0


def test_a_worker_that_never_drains_is_seen_to_cut_what_it_took(
    verdict: Callable[[str], DrillResult],
):
    result = verdict("never drains")
    assert result.verdict == "failed", told(result)
    assert "The instance answers every request it took" in broken(result), told(result)


def test_a_balancer_that_never_retries_lets_a_killed_worker_be_seen(
    verdict: Callable[[str], DrillResult],
):
    result = verdict("never retries")
    assert result.verdict == "failed", told(result)
    assert "Every request to / is answered" in broken(result), told(result)


def test_too_many_requests_are_refused_at_once_and_the_rest_are_answered_as_before(
    tmp_path_factory: pytest.TempPathFactory,
):
    result = build_and_drill(SMALL_DOOR, tmp_path_factory.mktemp("build"))
    assert result.verdict == "passed", told(result)
    assert result.refused > 100, told(result)


# The command


def test_ctrl_c_ends_everything_that_was_started_and_writes_what_there_is(
    tmp_path_factory: pytest.TempPathFactory,
):
    tmp_path = tmp_path_factory.mktemp("c")  # short: control sockets have short paths only
    command = [
        sys.executable, "-m", "tests.drills", "stop-unstable", "kill-worker", "--short",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=PROJECT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    answers = tmp_path / "out/drills/stop-unstable/steady.answers"
    eventually(
        lambda: process.poll() is not None or (answers.exists() and answers.stat().st_size > 0),
        "the drill runs",
        seconds=60,
    )
    mine = of(tmp_path)
    assert any("supervisord" in " ".join(process.cmdline()) for process in mine)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert not [found for found in mine if alive(found)]
    assert not of(tmp_path)
    assert not list(tmp_path.glob("drill-*"))
    [result] = json.loads((tmp_path / "out/drills.json").read_text())["drills"]
    assert (result["name"], result["verdict"]) == ("stop-unstable", "interrupted")
    assert (tmp_path / "out/drills.html").exists()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def of(folder: Path) -> list[psutil.Process]:
    """Processes that work in the folder, generators that write to it."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.cwd() or (
                "tests.drills.generator" in process.cmdline()
                and process.ppid() != 1
                and str(folder) in " ".join(map(str, process.open_files()))
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found
