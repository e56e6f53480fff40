"""One shard crashes; supervisord brings it back."""

from __future__ import annotations

import signal

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    server = scene.stack.pid("redis2")
    scene.signal(server, signal.SIGKILL, "redis2")
    scene.check_soon(
        "supervisord starts the shard again within 5 s",
        lambda: scene.stack.pid("redis2") not in (0, server) and scene.stack.redis("redis2").ping(),
        within=5,
    )


DRILL = Drill(
    name="kill-redis2",
    about="shards",
    says="kill -9 redis2",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), recovers(within=5)),
    takes=2,
)
