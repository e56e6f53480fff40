"""One shard loses its disk."""

from __future__ import annotations

import shutil

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.ctl("stop", "redis1")
    try:
        scene.event("rm -r var/redis1")
        shutil.rmtree(scene.stack.root / "var" / "redis1")
        scene.wait(2, short=0.5)
    finally:
        scene.cure()
        scene.ctl("start", "redis1")


DRILL = Drill(
    name="wipe-redis1",
    about="shards",
    says="redis1 is stopped, its data deleted, and started again, empty",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), recovers(within=10)),
    takes=4,
)
