"""One worker: wires the parts together after the fork, runs them, takes them down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

from monitoring.page import Recorder
from monitoring.process import report_process
from shards import store_for
from workers import BootError, Worker

from . import handlers, otel
from .files import UnusableFileError, open_board, open_ids, open_log, open_page
from .load_report import LoadReport
from .metrics import CallMetrics, HttpMetrics
from .observe import MalformedRequests, Observer
from .operations import Operations, Pages
from .records import Records
from .resilience import Limit, ResilientCall
from .server import Server, make_application, route_labels
from .service import Service
from .settings import Settings
from .upstream import open_upstream

if TYPE_CHECKING:
    from .spans import Spans


async def serve(worker: Worker, settings: Settings) -> None:
    """What the pool runs in every worker.

    Raises BootError when a file it needs cannot be had.
    """
    _log_to_stderr(worker.name)
    async with AsyncExitStack() as stack:
        try:
            page, log, ids = open_page(settings), open_log(settings), open_ids(settings)
            shared = open_board(settings, claim=True)
        except UnusableFileError as error:
            raise BootError(str(error)) from error
        stack.callback(shared.close)
        stack.callback(ids.close)
        stack.callback(log.close)
        recorder = page.recorder(worker.slot)
        await stack.enter_async_context(_in_background(log.run()))
        await stack.enter_async_context(
            _in_background(report_process(recorder, started=worker.pool_started))
        )
        store = store_for(settings.store, recorder=recorder)
        stack.push_async_callback(store.close)
        await store.open()
        upstream = open_upstream(settings.upstream)
        stack.push_async_callback(upstream.close)

        metrics = HttpMetrics(recorder, route_labels(), worker.slot)
        load = LoadReport()
        await stack.enter_async_context(_in_background(load.run()))
        limit = Limit(settings.limit)
        limited = [route.handler for route in handlers.routes if isinstance(route, web.RouteDef)]
        observer = Observer(worker, metrics, log, load, os.getpid(), limit, limited)
        observer.spans = await stack.enter_async_context(_span_export(settings, worker.name))
        call = ResilientCall(
            settings.upstream.policy,
            board=shared.board,
            observe=CallMetrics(recorder).observe,
            lag=load.queue_seconds,
            worst_lag=load.worst_seconds,
        )
        await stack.enter_async_context(_in_background(_report(call, limit, recorder)))
        service = Service(upstream=upstream, call=call, records=Records(store, ids), limit=limit)
        operating = Operations(worker, Pages(settings.metrics_dir, page, worker.name))
        application = make_application(service, operating, observer)
        http_logger = stack.enter_context(_http_logger(metrics))
        server = Server(application, observer, http_logger, settings.keepalive_seconds)
        recorder.gauge("workers", state="ready").set(1)
        await server.run(worker)


async def _report(call: ResilientCall, limit: Limit, recorder: Recorder) -> None:
    """What the policies are at, once a second."""
    state = recorder.gauge("external_breaker_state")
    delay = recorder.gauge("external_hedge_delay_seconds")
    most = recorder.gauge("http_requests_limit")
    while True:
        state.set(call.guard.board.phase())
        delay.set(call.guard.hedge_delay(time.monotonic()))
        most.set(limit.limit)
        await asyncio.sleep(1.0)


@asynccontextmanager
async def _span_export(settings: Settings, service: str) -> AsyncIterator[Spans | None]:
    """None when nobody collects spans, or what makes them is not installed."""
    if settings.otlp_endpoint is None or not otel.is_installed():
        yield None
        return
    from .spans import Spans

    spans = Spans(settings.otlp_endpoint, service, os.getpid())
    try:
        yield spans
    finally:
        await asyncio.to_thread(spans.close)


@contextmanager
def _http_logger(metrics: HttpMetrics) -> Iterator[logging.Logger]:
    """What aiohttp's server writes to."""
    http_logger = logging.getLogger("app.http")
    http_logger.setLevel(logging.DEBUG)
    malformed = MalformedRequests(metrics)
    http_logger.addFilter(malformed)
    try:
        yield http_logger
    finally:
        http_logger.removeFilter(malformed)


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs beside what is inside. If it fails, that is said and the service goes on without."""
    task = asyncio.create_task(work)
    task.add_done_callback(_say_if_failed)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _say_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logging.getLogger(__name__).error("a background task ended", exc_info=error)


def _log_to_stderr(name: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s {name}[%(process)d] %(levelname)s %(message)s",
    )
