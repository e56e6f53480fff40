"""The HTTP server of one worker: its application, and how it ends without dropping a request."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from aiohttp import web

from workers import Acceptor, Worker

from . import handlers, operations
from .observe import Observer, route_label
from .operations import OPERATIONS, Operations
from .service import SERVICE, Service

logger = logging.getLogger(__name__)


def make_application(
    service: Service, operating: Operations, observer: Observer
) -> web.Application:
    application = web.Application(middlewares=[observer.middleware])
    application[SERVICE] = service
    application[OPERATIONS] = operating
    application.add_routes(handlers.routes)
    application.add_routes(operations.routes)
    return application


def route_labels() -> list[str]:
    """Every route there is, as metrics name it."""
    return [
        route_label(route.path)
        for table in (handlers.routes, operations.routes)
        for route in table
        if isinstance(route, web.RouteDef)
    ]


class Server:
    """Serves on the worker's socket until the pool says stop.

    Args:
        http_logger: gets what aiohttp's server has to say.
        keepalive_seconds: how long an idle connection is kept.
    """

    def __init__(
        self,
        application: web.Application,
        observer: Observer,
        http_logger: logging.Logger,
        keepalive_seconds: float,
    ) -> None:
        self._observer = observer
        self._runner = web.AppRunner(
            application,
            handler_cancellation=True,  # a client that went away cancels the work for it
            keepalive_timeout=keepalive_seconds,
            access_log=None,
            logger=http_logger,
            shutdown_timeout=0.5,  # the waiting is done in `_drain`; this is for what is left
        )

    async def run(self, worker: Worker) -> None:
        """Returns when everything is answered, or the time for that is over."""
        await self._runner.setup()
        acceptor = worker.listen(self._server)
        worker.ready()
        try:
            await worker.told_to_stop()
            await self._drain(worker, acceptor)
        finally:
            await self._runner.cleanup()

    async def _drain(self, worker: Worker, acceptor: Acceptor) -> None:
        """1. accept what is queued, then no more; 2. from now on every answer closes its
        connection; 3. leave silent connections open for a moment, since a request may be on its
        way on any of them; 4. close those that stayed silent; 5. wait for the requests in flight.

        aiohttp's own `cleanup` goes from 1 to 4 at once and keeps connections alive until then.
        """
        end = asyncio.get_running_loop().time() + worker.drain_seconds
        self._observer.draining = True
        acceptor.close()
        await asyncio.sleep(worker.linger_seconds)
        self._close_silent()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._observer.all_answered()
        if left := len(self._observer.busy):
            logger.warning("%d requests did not end in time and are cut", left)

    def _close_silent(self) -> None:
        for connection in self._server.connections:
            if connection not in self._observer.busy:
                connection.close()

    @property
    def _server(self) -> web.Server:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the server was not set up")
        return server
