"""A run of drills: a fresh stack for each, everything ended, whatever happens. Edge."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .calibrate import capacity, rate_for
from .drill import Drill
from .interrupts import held_back
from .results import DrillResult, Results, Verdict
from .run import RunSettings, run_drill
from .screen import Screen
from .stack import DrillStack

STACK_SECONDS = 9.0  # to start it and to end it


def expected_seconds(drill: Drill, settings: RunSettings) -> float:
    """How long a drill takes, about: its stack, its phases, reading back."""
    phases = settings.warm_up + 2 * settings.seconds + drill.takes
    return STACK_SECONDS + phases + 4.0


@contextmanager
def running_stack(seed: int) -> Iterator[DrillStack]:
    """A stack in a folder of its own, ended and deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    try:
        stack = DrillStack(folder, seed=seed)
        try:
            stack.up()
            yield stack
        finally:
            stack.down()
    finally:
        with held_back():
            shutil.rmtree(folder, ignore_errors=True)


def calibrate(seed: int) -> tuple[float, float]:
    """Capacity of this machine and the rate of the drills, requests a second."""
    with running_stack(seed) as stack:
        found = asyncio.run(capacity(stack.ports["BALANCER_PORT"]))
    return found, rate_for(found)


def run_all(
    drills: Sequence[Drill],
    settings: RunSettings,
    screen: Screen,
    results: Results,
    save: Callable[[], None],
) -> None:
    """Every drill, in order; `results` is complete and saved also when this is interrupted."""
    for drill in drills:
        screen.begin(drill.name)
        try:
            result = _run_one(drill, settings, screen)
        except KeyboardInterrupt:
            _add(results, _without_figures(drill, "interrupted", "Ctrl-C"), settings)
            save()
            raise
        except Exception as error:  # noqa: BLE001  a drill that breaks must not hide the others
            result = _without_figures(drill, "error", f"{type(error).__name__}: {error}")
        screen.ended(_add(results, result, settings))
        save()


def _run_one(drill: Drill, settings: RunSettings, screen: Screen) -> DrillResult:
    screen.phase("starting", STACK_SECONDS / 2)
    with running_stack(settings.seed) as stack:
        try:
            result = run_drill(drill, stack, settings, screen)
        except Exception:
            _keep_logs(stack, settings.folder / drill.name)
            raise
        if not result.good:
            _keep_logs(stack, settings.folder / drill.name)
        screen.phase("ending", STACK_SECONDS / 2)
    return result


def _without_figures(drill: Drill, verdict: Verdict, reason: str) -> DrillResult:
    return DrillResult(drill.name, drill.about, drill.says, verdict, reason)


def _add(results: Results, result: DrillResult, settings: RunSettings) -> DrillResult:
    length = "--short" if settings.short else f"--seconds {settings.seconds:g}"
    options = f"{length} --rate {settings.rate:g} --seed {settings.seed}"
    repeat = f"make drill NAME={result.name} ARGS='{options}'"
    result = replace(result, repeat=repeat)
    results.drills.append(result)
    return result


def _keep_logs(stack: DrillStack, folder: Path) -> None:
    """What the programs said, beside the answers: the stack's folder will be gone."""
    shutil.copytree(stack.root / "var" / "log", folder / "log", dirs_exist_ok=True)
