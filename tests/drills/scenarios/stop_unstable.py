"""The external service is gone, and comes back."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, only_fallbacks, real_data_again, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.ctl("stop", "unstable")
    try:
        scene.wait(8, short=2.5)
    finally:
        scene.cure()
        scene.ctl("start", "unstable")


DRILL = Drill(
    name="stop-unstable",
    about="external service",
    says="supervisorctl stop unstable; 8 s later it is started again",
    act=act,
    promises=(
        no_ask_fails,
        answered_within(2.5),
        only_fallbacks(after=1),
        real_data_again(within=2),
        recovers(within=5),
    ),
    takes=10,
)
