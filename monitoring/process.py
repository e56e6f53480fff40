"""What a process tells about itself: CPU, memory, descriptors, once a second."""

from __future__ import annotations

import asyncio
import platform
import time
from importlib import metadata

import psutil

from .page import Recorder

DISTRIBUTION = "keeps-answering"


async def report_process(recorder: Recorder, *, started: float, interval: float = 1.0) -> None:
    """Keep the `process_*` metrics of the calling process up to date until cancelled.

    CPU is added as a difference each time, so that the total of a service does not fall when one
    of its workers is replaced.

    Args:
        started: Unix time at which the *service* started (its pool, not this worker).
        interval: seconds between two looks.
    """
    process = psutil.Process()
    cpu = recorder.counter("process_cpu_seconds_total")
    memory = recorder.gauge("process_resident_memory_bytes")
    descriptors = recorder.gauge("process_open_fds")
    recorder.gauge("process_start_time_seconds").set(started)
    recorder.gauge(
        "stack_build_info",
        version=metadata.version(DISTRIBUTION),
        python=platform.python_version(),
    ).set(1)
    counted = 0.0
    while True:
        spent = time.process_time()
        cpu.inc(spent - counted)
        counted = spent
        memory.set(process.memory_info().rss)
        descriptors.set(process.num_fds())
        await asyncio.sleep(interval)
