"""The front door gets new workers, again and again, while everybody comes through it."""

from __future__ import annotations

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene

TIMES, TIMES_SHORT = 10, 2


def act(scene: Scene) -> None:
    parent = scene.stack.pid("balancer")
    for number in range(1, (TIMES_SHORT if scene.short else TIMES) + 1):
        _reload(scene, number)
    scene.check("The parent stays", scene.stack.pid("balancer") == parent, f"pid {parent}")


def _reload(scene: Scene, number: int) -> None:
    before = scene.stack.workers("balancer")

    def replaced() -> bool:
        now = scene.stack.workers("balancer")
        return len(now) == len(before) and not set(now) & set(before)

    scene.ctl("signal", "HUP", "balancer")
    scene.check_soon(f"Reload {number} replaces every worker", replaced, within=15)


DRILL = Drill(
    name="reload-balancer",
    about="processes",
    says="supervisorctl signal HUP balancer, ten times, each when the one before is done",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=5)),
    takes=30,
)
