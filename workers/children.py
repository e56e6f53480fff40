"""The parent's table of worker processes: fork, reap, signal."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .child import EXIT_SOFTWARE, Target, die_with_parent, run_child
from .policy import Lifetime
from .settings import SLOTS, PoolSettings
from .status import State, StatusPage, WorkerStatus
from .worker import Identity


@dataclass
class Child:
    """One worker process; monotonic seconds."""

    pid: int
    slot: int
    started: float
    lifetime: Lifetime
    seen_ready: bool = False
    aborted_at: float | None = None
    terminated_at: float | None = None

    @property
    def active(self) -> bool:
        """Counts as one of the wanted workers: it was not told to stop."""
        return self.terminated_at is None


class Children:
    """All workers of a pool that are alive, by pid."""

    def __init__(self, settings: PoolSettings, page: StatusPage, target: Target) -> None:
        self._settings = settings
        self._page = page
        self._target = target
        self._by_pid: dict[int, Child] = {}
        self._rng = random.Random()  # noqa: S311  jitter, no secret
        self._pool_started = time.time()

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)

    def __contains__(self, pid: int) -> bool:
        return pid in self._by_pid

    def get(self, pid: int) -> Child | None:
        return self._by_pid.get(pid)

    @property
    def active(self) -> list[Child]:
        return [child for child in self if child.active]

    def status(self, child: Child) -> WorkerStatus:
        return self._page.row(child.slot).read()

    def spawn(self, sock: socket.socket, unwanted: tuple[int, ...]) -> Child | None:
        """Fork a worker into a free slot; None while every slot is taken by one that drains.

        Args:
            sock: the listening socket it inherits.
            unwanted: the parent's descriptors that it must not keep.
        """
        taken = {child.slot for child in self}
        slot = next((number for number in range(SLOTS) if number not in taken), None)
        if slot is None:
            return None
        row = self._page.row(slot)
        row.reset(State.BOOT, time.monotonic_ns())
        settings = self._settings
        identity = Identity(
            name=settings.name,
            slot=slot,
            pool_started=self._pool_started,
            backlog=settings.backlog,
            heartbeat_interval=settings.heartbeat_interval,
            drain_seconds=settings.drain_seconds,
            linger_seconds=settings.linger_seconds,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal between the fork and the child's own handlers must wait, or it would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            self._be_child(parent, identity, sock, unwanted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        row.set_pid(pid)
        lifetime = Lifetime(settings.recycling, self._rng)
        child = self._by_pid[pid] = Child(pid, slot, time.monotonic(), lifetime)
        return child

    def reap(self) -> list[tuple[Child, int]]:
        """Workers that have ended, with their exit codes (negative: the signal's number)."""
        ended = []
        for child in self:
            found, status = os.waitpid(child.pid, os.WNOHANG)
            if found:
                del self._by_pid[child.pid]
                # It may have become ready and died between two looks of the parent.
                child.seen_ready = child.seen_ready or self.status(child).state is State.READY
                self._page.row(child.slot).reset(State.EMPTY, 0)
                ended.append((child, os.waitstatus_to_exitcode(status)))
        return ended

    def drain(self, child: Child) -> None:
        """Tell it to finish what it has and end; not twice."""
        if child.active:
            child.terminated_at = time.monotonic()
            self.kill(child, signal.SIGTERM)

    def kill(self, child: Child, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)

    def _be_child(
        self, parent: int, identity: Identity, sock: socket.socket, unwanted: tuple[int, ...]
    ) -> Any:
        code = EXIT_SOFTWARE
        try:
            die_with_parent(parent)
            for fd in unwanted:
                os.close(fd)
            code = run_child(self._target, identity, sock, self._page)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001  nothing may unwind into the parent's stack
            traceback.print_exc()
        finally:
            os._exit(code)
