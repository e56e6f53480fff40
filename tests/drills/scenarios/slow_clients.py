"""Clients that send a byte a second hold connections, and must not hold up anybody."""

from __future__ import annotations

import socket
import time

from ..drill import Drill
from ..invariants import answered_within, as_fast_as_before, no_ask_fails, no_read_fails, recovers
from ..scene import Scene

CLIENTS = 500
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 100
PATIENT = 15  # seconds; the balancer waits 10 for a head


def act(scene: Scene) -> None:
    count, patient = (100, 3) if scene.short else (CLIENTS, PATIENT)
    scene.event(f"{count} clients that send a byte a second")
    address = ("127.0.0.1", scene.stack.ports["BALANCER_PORT"])
    clients = [socket.create_connection(address, timeout=5) for _ in range(count)]
    try:
        for client in clients:
            client.setblocking(False)
        open_still = clients
        for second in range(patient):
            time.sleep(1)
            open_still = [c for c in open_still if _dripped(c, HEAD[second : second + 1])]
        if not scene.short:
            scene.check(
                f"No slow client is waited for longer than {patient} s", not open_still,
                f"{len(open_still)} of {count} connections are still open",
            )  # fmt: skip
    finally:
        scene.cure()
        for client in clients:
            client.close()


def _dripped(client: socket.socket, byte: bytes) -> bool:
    """Whether the connection is still open, and nothing was answered, after another byte."""
    try:
        client.send(byte)
        client.recv(4096)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


DRILL = Drill(
    name="slow-clients",
    about="load",
    says=f"{CLIENTS} clients send their request at a byte a second",
    act=act,
    promises=(
        no_ask_fails, no_read_fails, answered_within(5), as_fast_as_before(2), recovers(within=5),
    ),
    takes=16,
)  # fmt: skip
