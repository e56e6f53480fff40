"""The external service fails four times out of five."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, real_data_again, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.faults(failure_rate=0.8)
    try:
        scene.wait(8, short=2.5)
    finally:
        scene.cure()
        scene.faults()


DRILL = Drill(
    name="unstable-80",
    about="external service",
    says="80 % of the external service's answers are failures for 8 s",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), real_data_again(within=2), recovers(within=5)),
    takes=8,
)
