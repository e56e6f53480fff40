"""The server around the endpoints: from a listening socket to SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from monitoring.access_log import AccessLog
from monitoring.page import MetricsPage, Recorder
from monitoring.process import report_process

from .control import FaultControl
from .faults import Registry
from .observe import Observer
from .refusals import refuse_in_json
from .service import Service
from .telemetry import Telemetry

MAX_BODY = 16_384  # bytes; the largest honest body is a `PUT /faults` with everything in it
# aiohttp waits twice this long: for handlers to end, then for their bodies. Good answers take
# microseconds; what is still there is delayed or hanging and is cut off.
STOP_SECONDS = 0.2


@dataclass(frozen=True)
class Parts:
    """What the process is made of."""

    registry: Registry
    listener: socket.socket
    log: AccessLog
    page: MetricsPage
    control: FaultControl


async def serve(parts: Parts) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    recorder = parts.page.recorder(0)
    runner = web.AppRunner(
        _application(parts, recorder, stop.is_set),
        access_log=None,
        handler_cancellation=True,  # a client that leaves ends its request
        shutdown_timeout=STOP_SECONDS,
        logger=_server_logger(),
    )
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(report_process(recorder, started=time.time())),
            group.create_task(parts.log.run()),
        ]
        await runner.setup()
        await web.SockSite(runner, parts.listener).start()
        await stop.wait()
        await runner.cleanup()
        for task in background:
            task.cancel()


def _application(parts: Parts, recorder: Recorder, stopping: Callable[[], bool]) -> web.Application:
    schema = parts.registry.schema
    telemetry = Telemetry(recorder, failing=schema.failing, slowing=schema.slowing)
    service = Service(parts.registry, parts.control, parts.page, telemetry, stopping=stopping)
    app = web.Application(middlewares=[refuse_in_json], client_max_size=MAX_BODY)
    app.add_routes(service.routes())
    Observer(telemetry, parts.log, stopping=stopping).watch(app)
    return app


def _server_logger() -> logging.Logger:
    """aiohttp's errors on stderr; a client's malformed request is one line, not a traceback."""

    def shorten(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "malformed request: %s", (error.message.split("\n")[0],)
            record.exc_info = None
        return True

    logging.basicConfig(format="unstable: %(message)s", level=logging.WARNING)
    logger = logging.getLogger("unstable.http")
    logger.addFilter(shorten)
    return logger
