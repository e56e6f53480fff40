"""One shard is stopped, and started again."""

from __future__ import annotations

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
    scene.ctl("stop", "redis1")
    try:
        scene.wait(10, short=2)
    finally:
        scene.cure()
        scene.ctl("start", "redis1")


DRILL = Drill(
    name="stop-redis1",
    about="shards",
    says="supervisorctl stop redis1; 10 s later it is started again",
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
    takes=12,
)
