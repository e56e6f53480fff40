"""Pools of two workers with the same small handler: ours, and those of three ASGI servers.

All restart their workers on SIGHUP. Also what they serve: `app` (ASGI) and `serve` (ours).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from ..asking import answers
from ..bench import Bench, free_port
from ..processes import Program
from ..programs import MissingProgramError
from . import balancer

WORKERS = 2
BODY = b'{"message":"a hundred bytes, more or less, as the other benchmarks have them, no more"}'
_MODULE = "tests.bench.peers.pools"


async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """The handler for ASGI servers."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


async def serve(worker: Any) -> None:
    """The same for ours: aiohttp's server, drained as `app/server.py` does it."""
    import asyncio

    draining = False

    async def handler(request: web.BaseRequest) -> web.Response:
        response = web.Response(body=BODY, content_type="application/json")
        if draining:
            response.force_close()
        return response

    server = web.Server(handler, access_log=None)
    acceptor = worker.listen(server)
    worker.ready()
    await worker.told_to_stop()
    draining = True
    acceptor.close()
    await asyncio.sleep(worker.linger_seconds)
    await server.shutdown(worker.drain_seconds)


def start(bench: Bench, name: str) -> tuple[Program, int]:
    """The program and its port, when it answers. Raises MissingProgramError, ProgramError.

    Behind the balancer there are two pools; the program is the first of them.
    """
    if name == BEHIND:
        (program, first), (_, second) = start(bench, OURS), start(bench, OURS)
        return program, balancer.start(bench, first, second, path="/", options=()).port
    port = free_port()
    program = bench.start(f"pool-{name}", _COMMANDS[name](bench, port))
    program.wait_until(answers(port))
    return program, port


def _ours(bench: Bench, port: int) -> Sequence[object]:
    run_dir = bench.folder / f"pool-run-{port}"
    source = (
        "import sys; from pathlib import Path; from workers import Pool, PoolSettings; sys.exit("
        f"Pool('{_MODULE}:serve', settings=PoolSettings(name='pool', host='127.0.0.1',"
        f" port={port}, workers={WORKERS}, run_dir=Path({str(run_dir)!r}))).run())"
    )
    return [sys.executable, "-c", source]


def _uvicorn(bench: Bench, port: int) -> Sequence[object]:
    options = ["--port", port, "--workers", WORKERS, "--log-level", "warning"]
    return [*_module("uvicorn"), f"{_MODULE}:app", *options]


def _gunicorn(bench: Bench, port: int) -> Sequence[object]:
    options = ["-b", f"127.0.0.1:{port}", "-w", WORKERS, "-k", "asgi", "--log-level", "warning"]
    return [*_module("gunicorn"), *options, f"{_MODULE}:app"]


def _granian(bench: Bench, port: int) -> Sequence[object]:
    options = ["--port", port, "--workers", WORKERS, "--interface", "asgi"]
    return [*_module("granian"), *options, "--respawn-failed-workers", f"{_MODULE}:app"]


def _module(name: str) -> list[object]:
    if importlib.util.find_spec(name) is None:
        raise MissingProgramError(
            f"{name} is not installed; to get it: {Path(sys.executable)} -m pip install {name}"
        )
    return [sys.executable, "-m", name]


OURS, BEHIND = "ours", "ours behind our balancer"
_COMMANDS: dict[str, Callable[[Bench, int], Sequence[object]]] = {
    OURS: _ours,
    "uvicorn": _uvicorn,
    "gunicorn": _gunicorn,
    "granian": _granian,
}
NAMES = (OURS, BEHIND, *(name for name in _COMMANDS if name != OURS))
