"""When a worker is replaced: dead, hung, or merely old. Pure: clocks and random come in."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .settings import PoolSettings, Recycling
from .status import State, WorkerStatus

SHORT_LIFE = 5.0  # a worker that dies sooner than this after its start crashed at start
FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
BOOT_TRIES = 5
RSS_LOOKS = 3  # a peak is not a leak


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
    """What the deaths so far say. Seconds of any monotonic clock."""

    short_lives: int = 0  # in a row
    ever_ready: bool = False
    failed_boots: int = 0

    def was_ready(self) -> None:
        self.ever_ready = True

    def died(self, lived: float, *, killed: bool = False) -> None:
        """A worker ended unasked after `lived` seconds.

        Args:
            killed: by SIGKILL, after it was ready. Somebody did that, or the kernel for want of
                memory: it says nothing of how the next one will start, which need not wait.
        """
        if lived >= SHORT_LIFE:
            self.short_lives = 0
        elif not killed:
            self.short_lives += 1
        if not self.ever_ready:
            self.failed_boots += 1

    @property
    def cannot_boot(self) -> bool:
        """No worker was ever ready in all tries: restarting more of them will not help."""
        return not self.ever_ready and self.failed_boots >= BOOT_TRIES


def silent_for(worker: WorkerStatus, now_ns: int) -> float:
    """Seconds since the worker's event loop last gave a sign."""
    return (now_ns - worker.beat_ns) / 1e9


def age(worker: WorkerStatus, now_ns: int) -> float:
    """Seconds since the worker was forked."""
    return (now_ns - worker.started_ns) / 1e9


def is_hung(worker: WorkerStatus, now_ns: int, settings: PoolSettings) -> bool:
    """A worker whose loop is silent for too long, or that is not ready in its time to boot."""
    if worker.state is State.BOOT:
        return age(worker, now_ns) > settings.boot_timeout
    return silent_for(worker, now_ns) > settings.heartbeat_timeout


class Lifetime:
    """Whether one worker has served long enough; asked once per heartbeat.

    Args:
        rng: draws the worker's own share, 90 to 100 %, of each limit.
    """

    def __init__(self, limits: Recycling, rng: random.Random) -> None:
        self._limits = limits
        self._share = rng.uniform(0.9, 1.0)
        self._looks_too_large = 0
        self._seen_beat = 0

    def over(self, worker: WorkerStatus, now_ns: int) -> str | None:
        """Why it should be replaced, or None."""
        limits, share = self._limits, self._share
        if limits.requests and worker.requests >= limits.requests * share:
            return f"{worker.requests} requests"
        if limits.age and age(worker, now_ns) >= limits.age * share:
            return f"{age(worker, now_ns):.0f} s old"
        if limits.rss and worker.beat_ns != self._seen_beat:
            self._seen_beat = worker.beat_ns
            too_large = worker.rss > limits.rss
            self._looks_too_large = self._looks_too_large + 1 if too_large else 0
            if self._looks_too_large >= RSS_LOOKS:
                return f"{worker.rss >> 20} MiB of memory"
        return None
