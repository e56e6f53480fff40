"""A bad release: every new worker of one instance dies half a second after it was ready.

Readiness cannot tell, so a rolling restart brings it in everywhere; then the file is mended and
the instance is told so.
"""

from __future__ import annotations

from typing import Any

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene

STEADY = 3.0  # those of the bad release do not live so long
FILE = "app/worker.py"
CRASH = """

_well = serve


async def serve(worker: Worker, settings: Settings) -> None:
    async def crash() -> None:
        while not worker.is_ready:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        os._exit(3)

    crashing = asyncio.create_task(crash())
    await _well(worker, settings)
    crashing.cancel()
"""


def act(scene: Scene) -> None:
    file = scene.stack.root / FILE
    original = file.read_text()
    wanted = len(scene.stack.workers("app1"))
    parent = scene.stack.pid("app1")
    pause = 1.0 if scene.short else 4.0
    try:
        scene.event(f"a release whose workers crash: {FILE}")
        file.write_text(original + CRASH)
        scene.ctl("signal", "HUP", "app1")
        scene.check_soon(
            f"Workers that crash are started ever more slowly, soon every {pause:g} s",
            lambda: scene.stack.pool("app1")["respawn_in"] >= pause,
            within=30,
        )
        scene.wait(5, short=1)
    finally:
        file.write_text(original)
        scene.cure()
        scene.ctl("signal", "HUP", "app1")
    scene.check_soon(
        f"The mended release has all its workers, {STEADY:g} s old, within 10 s of SIGHUP",
        lambda: _steady(scene.stack.pool("app1"), wanted),
        within=10,
    )
    scene.check("The parent of app1 stays", scene.stack.pid("app1") == parent, f"pid {parent}")


def _steady(pool: dict[str, Any], wanted: int) -> bool:
    old = [w for w in pool["workers"] if w["state"] == "ready" and w["age"] >= STEADY]
    return len(old) == wanted == len(pool["workers"])


DRILL = Drill(
    name="crash-loop",
    about="processes",
    says="a release of app1 whose workers die half a second after they are ready, then mended",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=5)),
    takes=30,
)
