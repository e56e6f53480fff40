"""Both shards crash at once; what they had acknowledged is in their append-only files."""

from __future__ import annotations

import signal
from functools import partial

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, recovers
from ..scene import Scene

_SHARDS = ("redis1", "redis2")


def act(scene: Scene) -> None:
    servers = {shard: scene.stack.pid(shard) for shard in _SHARDS}
    for shard, server in servers.items():
        scene.signal(server, signal.SIGKILL, shard)
    for shard, server in servers.items():
        scene.check_soon(
            f"supervisord starts {shard} again within 5 s",
            partial(_runs_anew, scene, shard, server),
            within=5,
        )


def _runs_anew(scene: Scene, shard: str, before: int) -> bool:
    return scene.stack.pid(shard) not in (0, before) and bool(scene.stack.redis(shard).ping())


DRILL = Drill(
    name="kill-both-redis",
    about="shards",
    says="kill -9 redis1 and redis2 at once; their append-only files have it all",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), recovers(within=5)),
    takes=2,
)
