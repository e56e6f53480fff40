"""No shard runs."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.ctl("stop", "redis1", "redis2")
    try:
        scene.wait(3, short=2)
    finally:
        scene.cure()
        scene.ctl("start", "redis1", "redis2")


DRILL = Drill(
    name="both-redis-down",
    about="shards",
    says="supervisorctl stop redis1 redis2; 3 s later both are started again",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), recovers(within=5)),
    takes=5,
)
