"""One pool, one handler, three ways for its workers to get their connections.

`FAIR` is the product's: one socket that all share, the least loaded accepts. `GREEDY` is the same
socket and uvloop's own accepting. `SLOTS` is a SO_REUSEPORT socket for each slot, all made and held
by the parent; the kernel chooses one by a hash of the connection's addresses.

Also the program: `python -m tests.bench.peers.spread TARGET PORT WORKERS RUN_DIR`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from aiohttp import web

from workers import Pool, PoolSettings, Worker

from ..asking import answers
from ..bench import Bench, free_port
from ..processes import Program
from .pools import BODY

FAIR, GREEDY, SLOTS = "one socket, fair", "one socket, greedy", "a socket per slot"
NAMES = (FAIR, GREEDY, SLOTS)
_MODULE = "tests.bench.peers.spread"
_TARGETS = {FAIR: "fair", GREEDY: "greedy", SLOTS: "slots"}


async def fair(worker: Worker, _sockets: list[socket.socket]) -> None:
    acceptor = worker.listen(_server(worker))
    worker.ready()
    await worker.told_to_stop()
    acceptor.close()


async def greedy(worker: Worker, _sockets: list[socket.socket]) -> None:
    await _accept_on(worker.socket, worker)


async def slots(worker: Worker, sockets: list[socket.socket]) -> None:
    await _accept_on(sockets[worker.slot], worker)


async def _accept_on(sock: socket.socket, worker: Worker) -> None:
    server = await asyncio.get_running_loop().create_server(_server(worker), sock=sock)
    worker.ready()
    await worker.told_to_stop()
    server.close()


def _server(worker: Worker) -> web.Server:
    async def handler(request: web.BaseRequest) -> web.Response:
        worker.request_started()
        try:
            return web.Response(body=BODY, content_type="application/json")
        finally:
            worker.request_finished()

    return web.Server(handler, access_log=None)


def start(bench: Bench, name: str, workers: int) -> tuple[Program, int, Path]:
    """The program when it answers, its port, and the folder in which the pool can be asked.

    The pool is called `spread`. Raises ProgramError.
    """
    port, run_dir = free_port(), bench.folder / f"spread-run-{_TARGETS[name]}"
    command = [sys.executable, "-m", _MODULE, _TARGETS[name], port, workers, run_dir]
    program = bench.start(f"spread-{_TARGETS[name]}", command)
    program.wait_until(answers(port))
    return program, port, run_dir


def _sockets(port: int, count: int) -> list[socket.socket]:
    """Held by the parent, inherited by every worker."""
    sockets = []
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(1024)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def main(target: str, port: int, workers: int, run_dir: Path) -> int:
    """The pool's own socket is on any port when the slots have theirs on the right one."""
    per_slot = target == _TARGETS[SLOTS]
    sockets = _sockets(port, workers) if per_slot else []
    settings = PoolSettings(
        name="spread",
        host="127.0.0.1",
        port=0 if per_slot else port,
        workers=workers,
        run_dir=run_dir,
    )
    return Pool(f"{_MODULE}:{target}", settings=settings, arguments=(sockets,)).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
