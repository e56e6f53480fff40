"""A reverse proxy as one writes it with aiohttp: a handler, a ClientSession, the stock access log.

Also the program: `python -m tests.bench.peers.plain_proxy --port 8000 --backend 9000 --log FILE`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import click
import uvloop
from aiohttp import web

from ..asking import answers
from ..bench import Bench, free_port
from . import Contender

NAME = "plain aiohttp"
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
SESSION = web.AppKey("session", aiohttp.ClientSession)


def start(bench: Bench, backend: int) -> Contender:
    log, port = bench.folder / "plain-proxy.log", free_port()
    command = [
        sys.executable, "-m", __name__, "--port", port, "--backend", backend, "--log", log,
    ]  # fmt: skip
    program = bench.start("plain-proxy", command, cpus=bench.cores.measured)
    program.wait_until(answers(port, "/100B"))
    return Contender(NAME, port, (program.tree,), log)


class Proxy:
    def __init__(self, backend: int) -> None:
        self._backend = f"http://127.0.0.1:{backend}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        headers["X-Forwarded-For"] = request.remote or ""
        async with request.app[SESSION].request(
            request.method,
            self._backend + request.path_qs,
            headers=headers,
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def _session(application: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        application[SESSION] = session
        yield


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--backend", type=int, required=True)
@click.option("--log", type=click.Path(path_type=Path), required=True)
def main(port: int, backend: int, log: Path) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(filename=log, level=logging.INFO, format="%(message)s")
    application = web.Application(client_max_size=2**20)
    application.router.add_route("*", "/{path:.*}", Proxy(backend).handle)
    application.cleanup_ctx.append(_session)
    loop = uvloop.new_event_loop()
    web.run_app(application, host="127.0.0.1", port=port, print=None, loop=loop)


if __name__ == "__main__":
    main()
