"""What a pool is told. Seconds everywhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


def cpu_count() -> int:
    """CPUs this process may run on, the default number of workers."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class PoolSettings:
    """Settings of one pool; raises ValueError naming the field, its value and what is allowed."""

    name: str
    host: str
    port: int  # 0: any free port
    workers: int = field(default_factory=cpu_count)
    backlog: int = 1024
    run_dir: Path = Path("var/run")
    port_variable: str | None = None  # named in "port in use", so that the user knows what to set

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
        if self.workers < 1:
            raise ValueError(f"workers {self.workers}: must be at least 1")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port}: must be between 0 and 65535")
        for name in (
            "heartbeat_interval", "heartbeat_timeout", "boot_timeout", "abort_grace",
            "drain_delay", "drain_seconds", "linger_seconds",
        ):  # fmt: skip
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name} {value}: must be 0 or more seconds")
        if self.heartbeat_timeout <= self.heartbeat_interval:
            raise ValueError(
                f"heartbeat_timeout {self.heartbeat_timeout}: must be more than"
                f" heartbeat_interval {self.heartbeat_interval}"
            )

    @property
    def slots(self) -> int:
        """Most workers alive at once: a draining worker keeps its slot beside its successor."""
        return 2 * self.workers
