"""What a process reports of itself."""

import asyncio
import platform
import time
from contextlib import asynccontextmanager, suppress

import psutil

from monitoring.exposition import render
from monitoring.page import MetricsPage
from monitoring.process import report_process
from tests.exposition_text import parse, sample

CPU = sample("process_cpu_seconds_total")


@asynccontextmanager
async def reporting(page: MetricsPage, *, row: int = 0, started: float = 1000.0):
    """The report has been made once; each further turn of the loop makes it again."""
    report = asyncio.create_task(report_process(page.recorder(row), started=started, interval=0))
    await asyncio.sleep(0)
    yield
    report.cancel()
    with suppress(asyncio.CancelledError):
        await report


async def test_memory_and_descriptors_are_those_of_the_process():
    page = MetricsPage(rows=2)
    async with reporting(page):
        values = parse(render([page]))
        resident = psutil.Process().memory_info().rss
        assert resident / 2 < values[sample("process_resident_memory_bytes")] < resident * 2
        assert abs(values[sample("process_open_fds")] - psutil.Process().num_fds()) <= 2


async def test_cpu_time_is_counted_once_however_often_it_is_looked_at():
    page = MetricsPage(rows=2)
    async with reporting(page):
        before = parse(render([page]))[CPU]
        assert 0 < before <= time.process_time()
        while time.process_time() < before + 0.05:
            pass
        await asyncio.sleep(0)
        assert before + 0.04 < parse(render([page]))[CPU] <= time.process_time()


async def test_the_cpu_time_of_a_service_does_not_fall_when_a_worker_is_replaced():
    page = MetricsPage(rows=2)
    async with reporting(page):
        before = parse(render([page]))[CPU]
    page.recorder(0)
    assert parse(render([page]))[CPU] >= before
    async with reporting(page):
        assert parse(render([page]))[CPU] > before


async def test_uptime_is_that_of_the_service_and_not_of_the_worker():
    page = MetricsPage(rows=2)
    async with reporting(page, started=1000.0):
        values = parse(render([page], clock=lambda: 1060.0))
    assert values[sample("uptime_seconds")] == 60


async def test_the_running_build_is_named():
    page = MetricsPage(rows=2)
    async with reporting(page):
        (build,) = [labels for name, labels in parse(render([page])) if name == "stack_build_info"]
    assert dict(build)["python"] == platform.python_version()
    assert dict(build)["version"]
