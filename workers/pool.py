"""The parent of a pool: forks workers, watches them, replaces them, lets them drain.

It holds the listening socket for life, so a worker that dies or closes its copy takes no queued
connection with it. *Measured* with 200 connections queued on two listeners and one worker
killed: separate SO_REUSEPORT sockets bound per worker lost 89, a socket the parent also holds
lost none. A stopped worker stalled 21 of 40 new connections with per-worker sockets, none with a
shared one. Nothing here depends on `net.ipv4.tcp_migrate_req`.

The parent never accepts, runs no event loop and imports nothing of the service, so that there is
little in it that can fail and a fork copies little.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from .child import EXIT_CONFIG, EXIT_SOFTWARE, die_with_parent, run_child
from .listener import StartError, listen, lock_name
from .policy import CrashHistory, is_hung, respawn_delay, silent_for
from .settings import PoolSettings
from .status import State, StatusPage
from .worker import Identity

_TICK = 0.25  # longest sleep of the parent; signals wake it at once
_LATE = 4.0  # beyond drain and linger, before a worker that does not end is killed


@dataclass
class _Child:
    pid: int
    slot: int
    started: float
    seen_ready: bool = False
    aborted_at: float | None = None
    terminated_at: float | None = None


@dataclass
class _Stop:
    """Progress of stopping the whole pool."""

    asked_at: float
    workers_told: bool = False


@dataclass
class _Signals:
    queue: list[int] = field(default_factory=list)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.queue.append(number)  # only queued here; the loop acts


class Pool:
    """A prefork pool of workers that share one listening socket.

    Args:
        target: `"package.module:coroutine_function"`, imported in each worker after the fork and
            called with a `Worker` and `arguments`.
        settings: see `PoolSettings`.
        arguments: handed to the target; settings of the service.
    """

    def __init__(
        self, target: str, *, settings: PoolSettings, arguments: tuple[Any, ...] = ()
    ) -> None:
        self._target = target
        self._settings = settings
        self._arguments = arguments
        self._page = StatusPage(settings.slots)
        self._children: dict[int, _Child] = {}
        self._history = CrashHistory()
        self._rng = random.Random()  # noqa: S311  jitter, no secret
        self._next_spawn = 0.0
        self._stop: _Stop | None = None
        self._exit_code = 0
        self._started = time.time()
        self._signals = _Signals()

    def run(self) -> int:
        """Run until told to stop (SIGTERM, SIGINT). Returns the exit code.

        0 after a stop; 1 when the address or the name cannot be had; 70 when no worker was ever
        ready; 78 when a worker says that its settings cannot work. Each prints one line.
        """
        try:
            self._lock = lock_name(self._settings)
            self._socket = listen(self._settings)
        except StartError as error:
            print(error, file=sys.stderr)
            return 1
        wakeup = self._catch_signals()
        host, port = self._socket.getsockname()[:2]
        self._say(f"listening on {host}:{port} with {self._settings.workers} workers")
        while not self._finished():
            with suppress(InterruptedError):
                select.select([wakeup], [], [], self._pause())
            with suppress(BlockingIOError):
                os.read(wakeup, 4096)
            self._turn()
        self._say("stopped")
        return self._exit_code

    def _catch_signals(self) -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._signals)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return reader

    def _finished(self) -> bool:
        return self._stop is not None and not self._children

    def _pause(self) -> float:
        if self._stop is None and self._missing():
            return min(_TICK, max(0.0, self._next_spawn - time.monotonic()))
        return _TICK

    def _turn(self) -> None:
        queued, self._signals.queue = self._signals.queue, []
        for number in queued:
            if number != signal.SIGCHLD:
                self._told_to_stop(number)
        self._reap()
        self._watch()
        if self._stop is None:
            self._spawn_missing()
        else:
            self._carry_on_stopping(self._stop)

    # Starting

    def _missing(self) -> int:
        return self._settings.workers - len(self._children)

    def _spawn_missing(self) -> None:
        while self._missing() > 0 and time.monotonic() >= self._next_spawn:
            self._spawn()

    def _spawn(self) -> None:
        taken = {child.slot for child in self._children.values()}
        slot = next(number for number in range(self._page.slots) if number not in taken)
        row = self._page.row(slot)
        row.reset(State.BOOT, time.monotonic_ns())
        identity = Identity(
            name=self._settings.name,
            slot=slot,
            pool_started=self._started,
            heartbeat_interval=self._settings.heartbeat_interval,
            drain_seconds=self._settings.drain_seconds,
            linger_seconds=self._settings.linger_seconds,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal between the fork and the child's own handlers must wait, or it would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            self._be_child(parent, identity)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        row.set_pid(pid)
        self._children[pid] = _Child(pid, slot, time.monotonic())

    def _be_child(self, parent: int, identity: Identity) -> None:
        code = EXIT_SOFTWARE
        try:
            die_with_parent(parent)
            os.close(self._lock)  # the name must be free as soon as the parent is gone
            code = run_child(self._target, self._arguments, identity, self._socket, self._page)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001  nothing may unwind into the parent's stack
            traceback.print_exc()
        finally:
            os._exit(code)

    # Watching

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._buried(self._children.pop(pid), os.waitstatus_to_exitcode(status))

    def _buried(self, child: _Child, code: int) -> None:
        lived = time.monotonic() - child.started
        self._page.row(child.slot).reset(State.EMPTY, 0)
        if child.terminated_at is not None or self._stop is not None:
            return
        self._page.count_restart(hung=child.aborted_at is not None)
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        if code == EXIT_CONFIG:
            self._give_up(EXIT_CONFIG, "cannot start with these settings")
            return
        self._history.died(lived)
        if self._history.cannot_boot:
            tries = self._history.failed_boots
            self._give_up(EXIT_SOFTWARE, f"cannot boot: no worker was ready in {tries} tries")
            return
        delay = respawn_delay(self._history.short_lives, self._rng)
        self._next_spawn = time.monotonic() + delay
        when = f"in {delay:.1f} s" if delay else "at once"
        self._say(f"worker {child.pid} {how} after {lived:.1f} s; starting another {when}")

    def _give_up(self, code: int, why: str) -> None:
        self._say(f"{why}; giving up")
        self._exit_code = code
        self._stop = _Stop(time.monotonic() - self._settings.drain_delay)

    def _watch(self) -> None:
        now_ns = time.monotonic_ns()
        for child in self._children.values():
            status = self._page.row(child.slot).read()
            if status.state is State.READY and not child.seen_ready:
                child.seen_ready = True
                self._history.was_ready()
            if child.aborted_at is not None:
                if time.monotonic() - child.aborted_at > self._settings.abort_grace:
                    self._kill(child, signal.SIGKILL)
            elif is_hung(status, now_ns, self._settings):
                silent = silent_for(status, now_ns)
                self._say(
                    f"worker {child.pid} is silent for {silent:.1f} s: dumping and killing it"
                )
                child.aborted_at = time.monotonic()
                self._kill(child, signal.SIGABRT)

    # Stopping

    def _told_to_stop(self, number: int) -> None:
        if self._stop is None:
            self._say(f"{signal.Signals(number).name}: draining")
            self._page.set_stopping()  # readiness turns 503; workers go on accepting
            self._stop = _Stop(time.monotonic())
        elif number == signal.SIGINT:
            self._say("second Ctrl-C: killing the workers")
            for child in self._children.values():
                self._kill(child, signal.SIGKILL)

    def _carry_on_stopping(self, stop: _Stop) -> None:
        now = time.monotonic()
        if not stop.workers_told and now - stop.asked_at >= self._settings.drain_delay:
            stop.workers_told = True
            # The last descriptor of the socket goes with the workers': what comes later is
            # refused at once, which a balancer retries elsewhere, and not left in a queue.
            self._socket.close()
            for child in self._children.values():
                child.terminated_at = now
                self._kill(child, signal.SIGTERM)
        limit = self._settings.drain_seconds + self._settings.linger_seconds + _LATE
        for child in self._children.values():
            if child.terminated_at is not None and now - child.terminated_at > limit:
                self._say(f"worker {child.pid} did not finish in {limit:.0f} s: killing it")
                child.terminated_at = now
                self._kill(child, signal.SIGKILL)

    def _kill(self, child: _Child, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)

    def _say(self, message: str) -> None:
        print(f"{self._settings.name}: {message}", file=sys.stderr, flush=True)
