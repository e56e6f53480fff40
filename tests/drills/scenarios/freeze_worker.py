"""A worker stands still without dying."""

from __future__ import annotations

import signal

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene

NOTICED_WITHIN = 15.0  # the heartbeat is missed after 10 s, the kill takes a second


def act(scene: Scene) -> None:
    worker = scene.dice.choice(scene.stack.workers("app1"))
    scene.signal(worker, signal.SIGSTOP, "a worker of app1")
    try:
        if scene.short:
            scene.wait(0, short=3.5)
        else:
            scene.check_soon(
                f"A frozen worker is replaced within {NOTICED_WITHIN:g} s",
                lambda: worker not in scene.stack.workers("app1"),
                within=NOTICED_WITHIN,
            )
    finally:
        scene.cure()
        scene.thaw(worker, "the same worker")


DRILL = Drill(
    name="freeze-worker",
    about="processes",
    says="kill -STOP a worker of app1, until it is replaced",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=5)),
    takes=13,
)
