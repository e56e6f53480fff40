"""What a pool is told. Seconds and bytes everywhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

# Each worker may have its successor beside it while it drains: twice as many slots. Services keep
# shared memory per slot, so this is a fixed number; a pool may be scaled up to it while it runs.
MOST_WORKERS = 32
SLOTS = 2 * MOST_WORKERS


def cpu_count() -> int:
    """CPUs this process may run on, the default number of workers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _not_negative(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if not value >= 0:
            raise ValueError(f"{name} {value}: must be 0 or more")


@dataclass(frozen=True)
class Recycling:
    """When a worker that is well is replaced all the same; 0 is never.

    Each limit is met by a worker somewhere between 90 and 100 % of it, so that workers that
    started together do not end together.
    """

    requests: int = 0
    age: float = 0.0
    rss: int = 0  # resident memory, seen in three looks in a row
    spacing: float = 30.0  # between two recycled workers of a pool

    def __post_init__(self) -> None:
        _not_negative(self, "requests", "age", "rss", "spacing")


@dataclass(frozen=True)
class PoolSettings:
    """Settings of one pool; raises ValueError naming the field, its value and what is allowed."""

    name: str
    host: str
    port: int  # 0: any free port
    workers: int = field(default_factory=lambda: min(cpu_count(), MOST_WORKERS))
    backlog: int = 4096
    run_dir: Path = Path("var/run")
    port_variable: str | None = None  # named in "port in use", so that the user knows what to set
    recycling: Recycling = Recycling()

    heartbeat_interval: float = 1.0
    # A loop blocked for 5 s is often only busy (uvicorn killed healthy workers at 5); 10 is hung.
    heartbeat_timeout: float = 10.0
    boot_timeout: float = 30.0
    abort_grace: float = 1.0  # between SIGABRT, which dumps the stacks, and SIGKILL
    # The balancer checks readiness every second; this long it may still send us requests.
    drain_delay: float = 1.0
    drain_seconds: float = 25.0
    linger_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name:
            raise ValueError(f"name {self.name!r}: must be a file name")
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"workers {self.workers}: must be from 1 to {MOST_WORKERS}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port}: must be between 0 and 65535")
        _not_negative(
            self, "heartbeat_interval", "heartbeat_timeout", "boot_timeout", "abort_grace",
            "drain_delay", "drain_seconds", "linger_seconds",
        )  # fmt: skip
        if self.heartbeat_timeout <= self.heartbeat_interval:
            raise ValueError(
                f"heartbeat_timeout {self.heartbeat_timeout}: must be more than"
                f" heartbeat_interval {self.heartbeat_interval}"
            )
