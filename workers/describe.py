"""A pool and its workers as JSON, for status commands and admin endpoints; seconds and bytes."""

from __future__ import annotations

import time
from typing import Any

from .status import StatusPage, WorkerStatus


def describe_pool(name: str, pid: int, page: StatusPage) -> dict[str, Any]:
    """`restarts` counts workers that ended or were replaced, by reason; `respawn_in`: seconds
    until the next one is started, while workers crash again and again."""
    now_ns = time.monotonic_ns()
    return {
        "name": name,
        "pid": pid,
        "wanted": page.wanted,
        "stopping": page.stopping,
        "uptime": round(time.time() - page.pool_started, 1),
        "restarts": page.restarts(),
        "respawn_in": round(max(0, page.next_spawn_ns - now_ns) / 1e9, 1),
        "workers": [_describe(worker, now_ns) for worker in page.workers()],
    }


def _describe(worker: WorkerStatus, now_ns: int) -> dict[str, Any]:
    return {
        "slot": worker.slot,
        "pid": worker.pid,
        "state": worker.state.name.lower(),
        "age": round((now_ns - worker.started_ns) / 1e9, 1),
        "silent": round((now_ns - worker.beat_ns) / 1e9, 1),
        "in_flight": worker.in_flight,
        "requests": worker.requests,
        "connections": worker.connections,
        "rss": worker.rss,
        "cpu": round(worker.cpu_ns / 1e9, 2),
    }
