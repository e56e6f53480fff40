"""One drill on one running stack: load, fault, recovery, and what became of the promises. Edge."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Protocol

from .contention import Contention, tree
from .drill import Drill, NotHereError
from .evidence import Evidence
from .invariants import judge
from .ledger import check_ledger
from .load import Plan
from .load_process import LoadProcess
from .measure import Baseline, baseline, between, recovered_at
from .recording import read_ledger
from .results import DrillResult, Mark
from .scene import Scene
from .stack import DrillStack
from .summary import summarise

POLL = 0.1
# Of the steady load, which tells what clients feel; a flood takes no more than what is flooded.
PUNCTUAL = -10


@dataclass(frozen=True)
class RunSettings:
    """How drills are run. `rate` in requests a second, the rest in seconds.

    Args:
        capacity: what the machine can do, requests a second; for the overload.
        warm_up: of load that is not taken as "before": first connections, first use.
        seconds: of load before the fault and after the recovery.
        need: of everything being good again, in a row, until a drill counts as recovered.
        give_up: after the fault is gone, when nothing recovers.
        patience: what promised times are multiplied with.
        folder: each drill keeps its files in a folder of its own in here.
    """

    rate: float
    capacity: float
    seed: int
    folder: Path
    warm_up: float = 1.0
    seconds: float = 5.0
    need: float = 3.0
    give_up: float = 20.0
    patience: float = 1.0
    short: bool = False


def short_form(settings: RunSettings) -> RunSettings:
    """A few seconds a drill, for the project's own tests: the faults are shorter, and times are
    taken generously, as something else may be running."""
    return replace(
        settings, warm_up=0.4, seconds=0.8, need=1.0, give_up=12.0, patience=2.0, short=True
    )


class Progress(Protocol):
    def phase(self, name: str, seconds: float) -> None:
        """A phase begins that takes about so many seconds."""


def run_drill(
    drill: Drill, stack: DrillStack, settings: RunSettings, progress: Progress
) -> DrillResult:
    """Raises whatever stood in the way of judging; promises that are broken are a result."""
    folder = settings.folder / drill.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run = _Run(drill, stack, settings, progress, folder)
    try:
        run.go()
        return run.result()
    except NotHereError as error:
        return DrillResult(drill.name, drill.about, drill.says, "not run", reason=str(error))
    finally:
        for load in run.loads.values():
            load.kill()


class _Run:
    def __init__(
        self, drill: Drill, stack: DrillStack, settings: RunSettings, progress: Progress,
        folder: Path,
    ) -> None:  # fmt: skip
        self.loads: dict[str, LoadProcess] = {}
        self._drill = drill
        self._stack = stack
        self._settings = settings
        self._progress = progress
        self._folder = folder
        self._scene = Scene(
            stack, Random(settings.seed), settings.rate, settings.capacity, settings.short,
            settings.patience, self._start_load,
        )  # fmt: skip
        self._started = self._acted = self._ended = 0.0
        self._recovered: float | None = None
        self._others: float | None = None

    def go(self) -> None:
        settings = self._settings
        supervisor = self._stack.supervisor()
        contention = Contention(lambda: tree(os.getpid(), supervisor))
        self._progress.phase("before", settings.warm_up + settings.seconds)
        self._started = time.monotonic()
        steady = self._start_load("steady", settings.rate, "BALANCER_PORT", PUNCTUAL)
        self._watch(steady, lambda: time.monotonic() > self._began_at)
        self._progress.phase("fault", self._drill.takes)
        self._drill.act(self._scene)
        self._acted = time.monotonic()
        self._progress.phase("recovery", settings.need)
        give_up = self._gone + settings.give_up
        self._watch(steady, lambda: self._has_recovered(steady) or time.monotonic() > give_up)
        if self._recovered is not None:
            self._progress.phase("after", settings.seconds - settings.need)
            until = self._recovered + settings.seconds
            self._watch(steady, lambda: time.monotonic() > until)
        self._ended = time.monotonic()
        self._others = contention.share()
        self._progress.phase("reading back", 3)
        for load in self.loads.values():
            load.stop()

    def result(self) -> DrillResult:
        acknowledged = read_ledger(load.ledger for load in self.loads.values())
        direct = self.loads.get("direct")
        answers = [a for load in self.loads.values() if load is not direct for a in load.answers]
        evidence = Evidence(
            answers=sorted(answers, key=lambda answer: answer.due),
            direct=[] if direct is None else direct.answers,
            started=self._started,
            began=self._scene.events[0].at,
            gone=self._gone,
            acted=self._acted,
            recovered=self._recovered,
            ended=self._ended,
            before=self._before(self.loads["steady"]),
            ledger=check_ledger(self._stack, acknowledged),
            checks=self._scene.checks,
            patience=self._settings.patience,
        )
        findings = judge(evidence, self._drill.promises)
        marks = [Mark(event.at - self._started, event.what) for event in self._scene.events]
        result = summarise(self._drill, evidence, findings, marks, self._settings.rate)
        return replace(result, others=self._others)

    @property
    def _began_at(self) -> float:
        return self._started + self._settings.warm_up + self._settings.seconds

    @property
    def _gone(self) -> float:
        return self._scene.events[-1].at if self._scene.gone is None else self._scene.gone

    def _before(self, steady: LoadProcess) -> Baseline:
        began = self._scene.events[0].at
        return baseline(between(steady.answers, self._started + self._settings.warm_up, began))

    def _has_recovered(self, steady: LoadProcess) -> bool:
        self._recovered = recovered_at(
            steady.answers,
            self._gone,
            steady.complete_until,
            self._before(steady),
            self._settings.need,
        )
        return self._recovered is not None

    def _watch(self, load: LoadProcess, over: Callable[[], bool]) -> None:
        while not over():
            load.poll()
            time.sleep(POLL)

    def _start_load(self, name: str, rate: float, port: str, nice: int = 0) -> LoadProcess:
        plan = Plan(
            name=f"{self._drill.name}-{name}",
            port=self._stack.ports[port],
            rate=rate,
            seed=self._settings.seed + len(self.loads),
            answers=str(self._folder / f"{name}.answers"),
            ledger=str(self._folder / f"{name}.ledger"),
            nice=nice,
        )
        load = self.loads[name] = LoadProcess(plan)
        return load
