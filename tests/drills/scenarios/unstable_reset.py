"""The external service closes every connection with a reset."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, only_fallbacks, real_data_again, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.faults(failure_rate=0.0, reset_rate=1.0)
    try:
        scene.wait(8, short=2.5)
    finally:
        scene.cure()
        scene.faults()


DRILL = Drill(
    name="unstable-reset",
    about="external service",
    says="the external service resets every connection it is asked on, for 8 s",
    act=act,
    promises=(
        no_ask_fails,
        answered_within(2.5),
        only_fallbacks(after=1),
        real_data_again(within=2),
        recovers(within=5),
    ),
    takes=8,
)
