"""The whole stack, as supervisord runs it, in a copy of the project and on free ports."""

from __future__ import annotations

import compileall
import shutil
import sys
import time
from pathlib import Path

from balancer import compiled
from tests.running_stack import RunningStack

from ..asking import get
from ..bench import Bench
from ..processes import Tree

PROGRAMS = ("redis1", "redis2", "unstable", "app1", "app2", "balancer", "console", "guardian")
UPSTREAM = "the unstable service without faults"
_CALM = {"UNSTABLE_FAILURE_RATE": "0", "UNSTABLE_DELAY_RATE": "0"}


class Stack:
    """Started without Prometheus and Grafana, which are not part of answering, and with an
    external service that does not fail, if `calm`.

    Attributes:
        ready_after: seconds from starting supervisord to the first answer with live data through
            the front door.
    """

    def __init__(self, bench: Bench, *, calm: bool = True) -> None:
        self._running = RunningStack(bench.folder, **(_CALM if calm else {}))
        root = self._running.root
        for folder in ("log", "run", "redis1", "redis2"):
            (root / "var" / folder).mkdir(parents=True, exist_ok=True)
        _without(root / "supervisord.conf", "prometheus", "redis-exporter", "grafana")
        if compiled.folder().is_dir():  # the balancer's request path, by `make compile`
            shutil.copytree(compiled.FOLDER, root / "var" / compiled.FOLDER.name)
        compileall.compile_dir(root, quiet=2)  # as it is from the second start on
        command = [
            Path(sys.executable).parent / "supervisord", "-n", "-s", "-c", "supervisord.conf",
        ]  # fmt: skip
        began = time.monotonic()
        self.supervisord = bench.start(
            "supervisord", command, folder=root, environ=self._running.environ
        )
        self.supervisord.wait_until(self._answers, seconds=60.0)
        self.ready_after = time.monotonic() - began

    def port(self, variable: str) -> int:
        return self._running.ports[variable]

    @property
    def front_door(self) -> int:
        return self.port("BALANCER_PORT")

    def trees(self) -> dict[str, Tree]:
        """Of the programs that run, by name."""
        trees = {}
        for name in PROGRAMS:
            told = self._running.ctl("pid", name, check=False).strip()
            if told.isdigit() and int(told):
                trees[name] = Tree(int(told))
        return trees

    def _answers(self) -> bool:
        status, body = get(self.front_door, "/", seconds=2.0)
        return status == 200 and b'"live"' in body


def _without(configuration: Path, *programs: str) -> None:
    """Not started by themselves in this copy of the project."""
    text = configuration.read_text()
    for name in programs:
        text = text.replace(f"[program:{name}]\n", f"[program:{name}]\nautostart=false\n")
    configuration.write_text(text)
