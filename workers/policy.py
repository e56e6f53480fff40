"""When a dead worker is replaced, and when a living one counts as hung. Pure: clocks come in."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .settings import PoolSettings
from .status import State, WorkerStatus

SHORT_LIFE = 5.0  # a worker that dies sooner than this after its start crashed at start
FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
BOOT_TRIES = 5


def respawn_delay(short_lives: int, rng: random.Random) -> float:
    """Seconds to wait before a slot is filled again.

    At once for a worker that had lived; 0.1 s x 2^k after the k-th short life in a row, at most
    10 s, and between half and all of that, so that the slots of a pool do not start in step.
    """
    if short_lives == 0:
        return 0.0
    full = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (short_lives - 1))
    return full * rng.uniform(0.5, 1.0)


@dataclass
class CrashHistory:
    """What the deaths so far say. `seconds` are those of any monotonic clock."""

    short_lives: int = 0  # in a row
    ever_ready: bool = False
    failed_boots: int = 0

    def was_ready(self) -> None:
        self.ever_ready = True

    def died(self, lived: float) -> None:
        """A worker ended unasked after `lived` seconds."""
        self.short_lives = self.short_lives + 1 if lived < SHORT_LIFE else 0
        if not self.ever_ready:
            self.failed_boots += 1

    @property
    def cannot_boot(self) -> bool:
        """No worker was ever ready in all tries: restarting more of them will not help."""
        return not self.ever_ready and self.failed_boots >= BOOT_TRIES


def silent_for(worker: WorkerStatus, now_ns: int) -> float:
    """Seconds since the worker's event loop last gave a sign."""
    return (now_ns - worker.beat_ns) / 1e9


def is_hung(worker: WorkerStatus, now_ns: int, settings: PoolSettings) -> bool:
    """A worker whose loop is silent for too long, or that is not ready in its time to boot."""
    if worker.state is State.BOOT:
        return (now_ns - worker.started_ns) / 1e9 > settings.boot_timeout
    return silent_for(worker, now_ns) > settings.heartbeat_timeout
