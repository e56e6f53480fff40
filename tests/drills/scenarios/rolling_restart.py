"""Both instances get new workers, one instance after the other."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import (
    answered_within,
    instance_refuses_nothing,
    no_ask_fails,
    no_read_fails,
    recovers,
)
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.start_load("direct", scene.rate / 4, "APP1_PORT")
    scene.wait(2, short=0.5)
    for app in ("app1", "app2"):
        _roll(scene, app)


def _roll(scene: Scene, app: str) -> None:
    parent, workers = scene.stack.pid(app), scene.stack.workers(app)

    def replaced() -> bool:
        now = scene.stack.workers(app)
        return len(now) == len(workers) and not set(now) & set(workers)

    scene.ctl("signal", "HUP", app)
    sentence = f"Every worker of {app} is replaced after SIGHUP"
    scene.check_soon(sentence, replaced, within=15)
    scene.check(f"The parent of {app} stays", scene.stack.pid(app) == parent, f"pid {parent}")


DRILL = Drill(
    name="rolling-restart",
    about="processes",
    says="SIGHUP to app1, then to app2, with a quarter of the load again directly at app1",
    act=act,
    promises=(
        no_ask_fails,
        no_read_fails,
        instance_refuses_nothing,
        answered_within(5),
        recovers(within=5),
    ),
    takes=20,
)
