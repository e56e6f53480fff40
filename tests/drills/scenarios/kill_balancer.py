"""The front door itself dies."""

from __future__ import annotations

import signal

from ..drill import Drill
from ..invariants import fails_only_within, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    balancer = scene.stack.pid("balancer")
    scene.signal(balancer, signal.SIGKILL, "the balancer")
    scene.check_soon(
        "supervisord starts another balancer within 5 s",
        lambda: scene.stack.pid("balancer") not in (0, balancer),
        within=5,
    )


DRILL = Drill(
    name="kill-balancer",
    about="processes",
    says="kill -9 the balancer",
    act=act,
    promises=(fails_only_within(2), recovers(within=5)),
    takes=2,
)
