"""An instance is restarted the plain way."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import (
    answered_within,
    instance_cuts_nothing,
    no_ask_fails,
    no_read_fails,
    recovers,
)
from ..scene import Scene


def act(scene: Scene) -> None:
    parent = scene.stack.pid("app1")
    scene.start_load("direct", scene.rate / 4, "APP1_PORT")
    scene.wait(2, short=0.5)
    scene.ctl("restart", "app1")
    scene.check("The instance is a new one", scene.stack.pid("app1") not in (0, parent), "by pid")
    scene.wait(2, short=0.5)


DRILL = Drill(
    name="restart-app1",
    about="processes",
    says="supervisorctl restart app1, with a quarter of the load again directly at app1",
    act=act,
    promises=(
        no_ask_fails,
        no_read_fails,
        instance_cuts_nothing,
        answered_within(5),
        recovers(within=5),
    ),
    takes=9,
)
