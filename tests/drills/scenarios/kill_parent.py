"""An instance loses its parent process."""

from __future__ import annotations

import signal

import psutil

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    parent = scene.stack.pid("app1")
    workers = [psutil.Process(pid) for pid in scene.stack.workers("app1")]
    scene.signal(parent, signal.SIGKILL, "the parent of app1")
    scene.check_soon(
        "The instance is ready again within 5 s",
        lambda: scene.stack.pid("app1") not in (0, parent) and scene.stack.is_ready("app1"),
        within=5,
    )
    scene.check_soon(
        "No worker outlives its parent by 5 s",
        lambda: not any(worker.is_running() for worker in workers),
        within=5,
    )


DRILL = Drill(
    name="kill-parent",
    about="processes",
    says="kill -9 the parent of app1's workers",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=10)),
    takes=3,
)
