"""The external service answers at a byte every half second."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, only_fallbacks, real_data_again, recovers
from ..scene import Scene


def act(scene: Scene) -> None:
    scene.faults(failure_rate=0.0, delay_rate=0.0, drip_rate=1.0, drip_seconds=0.5)
    try:
        scene.wait(8, short=3.8)
    finally:
        scene.cure()
        scene.faults()


DRILL = Drill(
    name="unstable-drip",
    about="external service",
    says="the external service answers at a byte every half second, for 8 s",
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
