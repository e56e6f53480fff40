"""One shard has no memory left for more records."""

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
    shard = scene.stack.redis("redis1")
    limit = int(shard.config_get("maxmemory")["maxmemory"] or 0)
    scene.event("redis1: CONFIG SET maxmemory 1")
    shard.config_set("maxmemory", 1)
    try:
        scene.wait(6, short=2)
    finally:
        scene.cure()
        scene.event(f"redis1: CONFIG SET maxmemory {limit}")
        shard.config_set("maxmemory", limit)


DRILL = Drill(
    name="redis-full",
    about="shards",
    says="redis1 is out of memory (maxmemory) for 6 s: it refuses writes, and can be read",
    act=act,
    promises=(
        no_ask_fails,
        goes_on_storing(after=1),
        goes_on_reading(after=0),
        answers_as_fast,
        reads_as_fast,
        answered_within(2.5),
        recovers(within=5),
    ),
    takes=6,
)
