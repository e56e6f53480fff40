"""One shard takes connections and commands, and never replies."""

from __future__ import annotations

import signal

from ..drill import Drill
from ..invariants import (
    answered_within,
    answers_as_fast,
    goes_on_reading,
    goes_on_storing,
    no_ask_fails,
    reads_as_fast,
    recovers,
)
from ..scene import Scene


def act(scene: Scene) -> None:
    server = scene.stack.pid("redis1")
    scene.signal(server, signal.SIGSTOP, "redis1")
    try:
        scene.wait(5, short=2)
    finally:
        scene.cure()
        scene.thaw(server, "redis1")


DRILL = Drill(
    name="freeze-redis1",
    about="shards",
    says="kill -STOP redis1; 5 s later it goes on",
    act=act,
    promises=(
        no_ask_fails,
        goes_on_storing(after=1),
        goes_on_reading(after=1),
        answers_as_fast,
        reads_as_fast,
        answered_within(2.5),
        recovers(within=5),
    ),
    takes=5,
)
