"""A worker lives and its event loop does not turn: a handler waits without letting others in.

The handler is one of the user's own, as one is added in practice: a file is edited, the instance
is told to take it. It is taken out again at the end.
"""

from __future__ import annotations

import http.client
import time
from contextlib import suppress

import psutil

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, no_read_fails, recovers
from ..scene import Scene
from ..stack import StackError, wait_for

REPLACED_WITHIN = 15.0  # the heartbeat is missed after 10 s, the kill takes a second
NEW_CONNECTIONS = 50
FILE = "app/handlers.py"
HANDLER = """

@routes.get("/report")
async def report(request: web.Request) -> web.Response:
    import time

    time.sleep(600)  # no await: this worker does nothing else meanwhile
    return json_response({})
"""


def act(scene: Scene) -> None:
    file = scene.stack.root / FILE
    original = file.read_text()
    connection = http.client.HTTPConnection("127.0.0.1", scene.stack.ports["APP1_PORT"], timeout=5)
    try:
        scene.event(f"a handler that blocks is added to {FILE}")
        file.write_text(original + HANDLER)
        _roll(scene)
        connection.connect()
        hung = _accepted_by(scene, connection)
        scene.event("GET /report of app1")
        connection.request("GET", "/report")
        scene.wait(0.5, short=0.5)  # what it accepted in the same turn of its loop is not new
        _look_while_it_hangs(scene, hung)
        scene.cure()
    finally:
        connection.close()
        file.write_text(original)
        _roll(scene)


def _look_while_it_hangs(scene: Scene, hung: int) -> None:
    began = time.monotonic()
    for _ in range(NEW_CONNECTIONS):
        with suppress(OSError, http.client.HTTPException):
            scene.stack.http("GET", "APP1_PORT", "/healthz")
    took = time.monotonic() - began
    scene.check(
        f"{NEW_CONNECTIONS} new connections to the instance wait for it less than 2 s together",
        took < 2 * scene.patience and hung in scene.stack.workers("app1"),
        f"{took:.2f} s",
    )
    scene.check_soon(
        f"A hung worker is replaced within {REPLACED_WITHIN:g} s",
        lambda: hung not in scene.stack.workers("app1"),
        within=REPLACED_WITHIN,
    )
    log = (scene.stack.root / "var/log/app1.log").read_text()
    dumped = next((line.strip() for line in log.splitlines() if "in report" in line), "")
    scene.check("The log shows the line where it hung", bool(dumped), dumped or "it does not")


def _roll(scene: Scene) -> None:
    """Raises StackError when app1 does not take the code that is on the disk."""
    before = set(scene.stack.workers("app1"))
    scene.stack.ctl("signal", "HUP", "app1")
    wait_for(
        lambda: (
            (now := scene.stack.workers("app1"))
            and len(now) == len(before)
            and not before & set(now)
        ),
        "every worker of app1 is replaced",
    )


def _accepted_by(scene: Scene, connection: http.client.HTTPConnection) -> int:
    """Pid of the worker that has the other end."""
    port = connection.sock.getsockname()[1]
    found: list[int] = []

    def accepted() -> bool:
        for pid in scene.stack.workers("app1"):
            with suppress(psutil.Error):
                ends = psutil.Process(pid).net_connections("tcp")
                if any(end.raddr and end.raddr.port == port for end in ends):
                    found.append(pid)
        return bool(found)

    wait_for(accepted, "a worker of app1 accepts")
    if len(found) > 1:
        raise StackError(f"one connection in two workers: {found}")
    return found[0]


DRILL = Drill(
    name="hang-worker",
    about="processes",
    says="a handler that blocks the event loop of a worker of app1 for ten minutes",
    act=act,
    promises=(no_ask_fails, no_read_fails, answered_within(5), recovers(within=5)),
    takes=20,
)
