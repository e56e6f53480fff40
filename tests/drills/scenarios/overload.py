"""Five times as many requests as the machine can answer."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import as_fast_as_before, only_quick_refusals, recovers
from ..scene import Scene

TIMES = 5


def act(scene: Scene) -> None:
    scene.event(f"{TIMES} x {scene.capacity:.0f} requests/s")
    more = scene.start_load("overload", TIMES * scene.capacity - scene.rate, "BALANCER_PORT")
    scene.wait(10, short=3)
    scene.cure()
    scene.event("back to the steady load")
    more.stop()


DRILL = Drill(
    name="overload",
    about="load",
    says=f"{TIMES} times the requests that the machine can answer, for 10 s",
    act=act,
    promises=(as_fast_as_before(2), only_quick_refusals(within=0.5), recovers(within=3)),
    takes=20,
    lag=0.5,  # the clients of five machines run on this one
)
