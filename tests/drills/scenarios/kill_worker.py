"""Workers die without a word, one after the other."""

from __future__ import annotations

import signal
import time

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene

KILLS = 20


def act(scene: Scene) -> None:
    full = {app: len(scene.stack.workers(app)) for app in ("app1", "app2")}
    for kill in range(3 if scene.short else KILLS):
        app = ("app1", "app2")[kill % 2]
        if workers := scene.stack.workers(app):
            scene.signal(scene.dice.choice(workers), signal.SIGKILL, f"a worker of {app}")
        time.sleep(0.5)
    scene.check_soon(
        "Every killed worker is replaced within 2 s",
        lambda: all(len(scene.stack.workers(app)) == count for app, count in full.items()),
        within=2,
    )


DRILL = Drill(
    name="kill-worker",
    about="processes",
    says=f"kill -9 a worker, {KILLS} times, one every half second, of both instances in turn",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=5)),
    takes=15,
)
