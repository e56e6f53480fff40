"""What a worker process sees of its pool: handed to the target as its first argument."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import psutil

from .acceptor import Acceptor, ProtocolFactory
from .describe import describe_pool
from .status import Row, State, StatusPage, WorkerStatus

_THRESHOLDS = 5_000, 5, 4  # new objects, and how often before the next older ones are looked at


@dataclass(frozen=True)
class Identity:
    """Who a worker is and how long it may take; seconds, `pool_started` in Unix time."""

    name: str
    slot: int
    pool_started: float
    backlog: int
    heartbeat_interval: float
    drain_seconds: float
    linger_seconds: float


class Worker:
    """One worker of a pool, inside its own process.

    Attributes:
        socket: the instance's listening socket, shared with the other workers. `listen` accepts
            on it fairly; a server that insists on accepting by itself can be given the socket.
        name: the instance's name.
        slot: a number below 64, unique among the instance's living workers, used again by
            successors.
        pool_started: Unix time at which the instance started.
        drain_seconds: how long requests in flight may take once the worker was told to stop.
        linger_seconds: how long silent connections are kept open after that; a request that
            arrives meanwhile is still answered.
    """

    def __init__(self, identity: Identity, sock: socket.socket, page: StatusPage) -> None:
        sock.listen(identity.backlog)  # again, if the parent refused while nobody was there
        self.socket = sock
        self.name = identity.name
        self.slot = identity.slot
        self.pool_started = identity.pool_started
        self.drain_seconds = identity.drain_seconds
        self.linger_seconds = identity.linger_seconds
        self._interval = identity.heartbeat_interval
        self._page = page
        self._row: Row = page.row(identity.slot)
        self._stop = asyncio.Event()
        self._parent = os.getppid()
        # Bound methods of the row: counting a request costs no extra call.
        self.request_started = self._row.request_started
        self.request_finished = self._row.request_finished

    def listen(self, factory: ProtocolFactory) -> Acceptor:
        """Accept connections, each served by a protocol of `factory`; `close()` ends that."""
        return Acceptor(self.socket, factory, self._row, self._page)

    def ready(self) -> None:
        """Say that this worker accepts connections from now on.

        What was made until now stays, so the garbage collector need not look at it again: a full
        collection of what is imported stops everybody for 20 ms. And it looks less often: with
        700 new objects, its default, ten new connections are enough for one, and thousands of
        them made it an eighth of a balancer's work.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        self._row.set_state(State.READY)

    @property
    def is_ready(self) -> bool:
        """What a readiness check must answer: false from the moment the pool was told to stop,
        which is before the workers are, so that a balancer can look elsewhere in time. A worker
        that drains alone answers true: its siblings take what comes next."""
        return not self._page.stopping and self._row.read().state is not State.BOOT

    @property
    def draining(self) -> bool:
        return self._stop.is_set()

    async def told_to_stop(self) -> None:
        """Return when the worker must stop accepting and finish what it has."""
        await self._stop.wait()

    def stop(self) -> None:
        self._row.set_state(State.DRAINING)
        self._stop.set()

    def siblings(self) -> list[WorkerStatus]:
        """Every living worker of the pool, this one too."""
        return self._page.workers()

    def restarts(self) -> dict[str, int]:
        """Workers of the pool that ended or were replaced, by reason."""
        return self._page.restarts()

    def describe_pool(self) -> dict[str, Any]:
        """The pool and all its workers as JSON."""
        return describe_pool(self.name, self._parent, self._page)

    async def beat(self) -> None:
        """The heartbeat. It runs in the loop that serves, never in a thread: a side thread would
        look alive while the loop hangs."""
        process = psutil.Process()
        while True:
            rss = process.memory_info().rss
            self._row.beat(time.monotonic_ns(), rss=rss, cpu_ns=time.process_time_ns())
            if os.getppid() != self._parent:  # where PDEATHSIG does not exist
                self.stop()
            await asyncio.sleep(self._interval)
