"""One worker of the balancer: wires the parts, serves, drains."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import tenacity
from aiohttp import web

from monitoring.access_log import AccessLog
from monitoring.page import MetricsPage
from monitoring.process import report_process
from workers import BootError, Worker

from .admin import application
from .counts import Counts
from .descriptors import within_descriptors
from .health import check_all
from .proxied import accepts
from .proxy import Proxy
from .settings import Address, Settings

_ORPHANS_GONE = 2.0


async def serve(worker: Worker, settings: Settings) -> None:
    """Serve until the pool says stop.

    Raises BootError when a file or the admin port is not to be had.
    """
    loop = asyncio.get_running_loop()
    try:
        page = MetricsPage(Path(settings.metrics_file) if settings.metrics_file else None)
        log = AccessLog(Path(settings.access_log) if settings.access_log else None)
    except OSError as error:
        raise BootError(f"cannot write {error.filename}: {error.strerror}") from None
    recorder = page.recorder(worker.slot)
    counts = Counts(recorder, slot=worker.slot)
    proxy = Proxy(within_descriptors(settings), counts, log, loop.time, worker)
    tasks = [
        asyncio.create_task(log.run()),
        asyncio.create_task(report_process(recorder, started=worker.pool_started)),
        asyncio.create_task(proxy.keep_time()),
    ]
    if settings.health_path is not None:
        tasks.append(asyncio.create_task(check_all(proxy, random.Random())))  # noqa: S311
    admin = await _serve_admin(proxy, page, worker)
    acceptor = worker.listen(accepts(proxy))
    worker.ready()
    recorder.gauge("workers", state="ready").set(1)
    await _until_told(worker, tasks)
    recorder.gauge("workers", state="ready").set(0)
    acceptor.close()
    if worker.is_ready:  # the others go on: what is asked from now on is asked of them
        await admin.cleanup()
    await proxy.drain(linger=worker.linger_seconds, limit=worker.drain_seconds)
    await admin.cleanup()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.close()


async def _until_told(worker: Worker, tasks: list[asyncio.Task[None]]) -> None:
    """Return when the worker must stop. A part that runs in the background and ends was not
    meant to: its exception ends the worker, and the pool starts another."""
    told = asyncio.create_task(worker.told_to_stop())
    await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            told.cancel()
            task.result()


async def _serve_admin(proxy: Proxy, page: MetricsPage, worker: Worker) -> web.AppRunner:
    address = proxy.settings.admin
    await _have_to_ourselves(address)
    runner = web.AppRunner(application(proxy, page, worker), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, address.host, address.port, reuse_port=True, shutdown_timeout=1.0)
    try:
        await site.start()
    except OSError as error:
        raise BootError(
            f"admin address {address}: {error.strerror}; free it or set BALANCER_ADMIN_PORT"
        ) from None
    return runner


async def _have_to_ourselves(address: Address) -> None:
    """The workers of a balancer share its admin port; so would, in silence, any other program of
    this user that shares ports. Raises BootError when one does not go away: the workers of a
    balancer that was killed let go of it within a moment."""
    patiently = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_result(bool),
        stop=tenacity.stop_after_delay(_ORPHANS_GONE),
        wait=tenacity.wait_fixed(0.1),
        retry_error_callback=lambda last: last.outcome and last.outcome.result(),
    )
    foreign: str = await patiently(_foreign_listener, address)
    if foreign:
        raise BootError(
            f"admin address {address} is in use by {foreign}; free it or set BALANCER_ADMIN_PORT"
        )


async def _foreign_listener(address: Address) -> str:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address.host, address.port))
        return ""  # the usual case; looking at all connections of the machine takes its time
    for connection in psutil.net_connections("tcp"):
        local = connection.laddr
        if connection.status != psutil.CONN_LISTEN or not local or local.port != address.port:
            continue
        with suppress(psutil.Error):
            process = psutil.Process(connection.pid)
            if connection.pid and process.ppid() != os.getppid():
                return f"{process.name()} (pid {connection.pid})"
    return ""
