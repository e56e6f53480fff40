"""The app's two handlers as one writes them plainly: aiohttp, ClientSession, redis-py's own pool.

No deadline, no retry, no fallback, no metrics, no access log, no draining; an error is a 500. With
`--tries 4 --attempt-timeout 2` it follows the policy of the Node.js original instead: up to three
more tries at once, 2 s each, then the fallback.

Also the program: `python -m tests.bench.peers.plain_app --port 8000 --upstream URL --store URLS`.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import click
import redis.asyncio
import uvloop
from aiohttp import web

from monitoring.scheduling import yield_to_who_computes

from ..asking import answers
from ..bench import Bench, free_port
from ..cores import Cpus
from . import Contender

NAME = "plain handlers"
FALLBACK = {"message": "Fallback response"}
SESSION = web.AppKey("session", aiohttp.ClientSession)


def start(
    bench: Bench,
    upstream: str,
    store: str,
    *,
    workers: int = 1,
    cpus: Cpus | None = None,
    options: tuple[str, ...] = (),
) -> Contender:
    """Workers share the port (SO_REUSEPORT)."""
    port = free_port()
    command = [
        sys.executable, "-m", __name__, "--port", str(port), "--upstream", upstream,
        "--store", store, *options,
    ]  # fmt: skip
    where = bench.cores.measured if cpus is None else cpus
    programs = [bench.start(f"plain-app-{port}", command, cpus=where) for _ in range(workers)]
    for program in programs:
        program.wait_until(answers(port, "/ready"))
    return Contender(NAME, port, tuple(program.tree for program in programs))


class Handlers:
    def __init__(self, upstream: str, store: str, tries: int, attempt_timeout: float) -> None:
        self._upstream = upstream
        self._shards = [redis.asyncio.Redis.from_url(url) for url in store.split(",")]
        self._tries = tries
        self._timeout = aiohttp.ClientTimeout(total=attempt_timeout or None)

    async def root(self, request: web.Request) -> web.Response:
        data = await self._ask(request.app[SESSION])
        record = random.getrandbits(53)
        await self._shard(record).set(f"plain:{record}", json.dumps(data), ex=86400)
        return web.json_response({"instance": os.getpid(), "id": record, "data": data})

    async def data(self, request: web.Request) -> web.Response:
        record = int(request.match_info["id"])
        found = await self._shard(record).get(f"plain:{record}")
        if found is None:
            return web.json_response({"error": "Data not found"}, status=404)
        return web.json_response({"id": record, "data": json.loads(found)})

    async def ready(self, request: web.Request) -> web.Response:
        return web.Response(text="ready")

    def _shard(self, record: int) -> redis.asyncio.Redis:
        return self._shards[record % len(self._shards)]

    async def _ask(self, session: aiohttp.ClientSession) -> Any:
        if self._tries == 1:
            return await self._once(session)
        for _ in range(self._tries):
            try:
                return await self._once(session)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                continue
        return FALLBACK

    async def _once(self, session: aiohttp.ClientSession) -> Any:
        async with session.get(self._upstream, timeout=self._timeout) as answer:
            answer.raise_for_status()
            return await answer.json()


async def _session(application: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        application[SESSION] = session
        yield


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--upstream", required=True)
@click.option("--store", required=True)
@click.option("--tries", type=int, default=1)
@click.option("--attempt-timeout", type=float, default=0.0)
def main(port: int, upstream: str, store: str, tries: int, attempt_timeout: float) -> None:
    """Serve until SIGTERM, under the same scheduling as ours."""
    yield_to_who_computes()
    handlers = Handlers(upstream, store, tries, attempt_timeout)
    application = web.Application()
    application.router.add_get("/", handlers.root)
    application.router.add_get("/data/{id}", handlers.data)
    application.router.add_get("/ready", handlers.ready)
    application.cleanup_ctx.append(_session)
    web.run_app(
        application,
        host="127.0.0.1",
        port=port,
        reuse_port=True,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
