"""The parent of a pool: forks workers, watches them, replaces them, lets them drain.

It holds the listening socket for life, so a worker that dies or closes its copy takes no queued
connection with it. *Measured* with 200 connections queued on two listeners and one worker
killed: separate SO_REUSEPORT sockets bound per worker lost 89, a socket the parent also holds
lost none. A stopped worker stalled 21 of 40 new connections with per-worker sockets, none with a
shared one. Nothing here depends on `net.ipv4.tcp_migrate_req`.

Only when no worker is left and the next one has to wait, because they crash, is the queue closed:
a balancer that is refused goes elsewhere at once, one that is queued waits in vain.

The parent never accepts, runs no event loop and imports nothing of the service, so that there is
little in it that can fail and a fork copies little.

Signals: TERM and INT stop (a second INT kills), HUP replaces every worker one at a time and
ends the back-off of a crash loop, TTIN and TTOU scale by one, USR1 reads the wanted number from
the status page (`python -m workers scale`).
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from .child import EXIT_CONFIG, EXIT_SOFTWARE, Target, die_with_parent
from .children import Child, Children
from .listener import StartError, listen, refuse
from .lock import take_name
from .policy import CrashHistory, is_hung, respawn_delay, silent_for
from .replacement import Replacements
from .settings import MOST_WORKERS, PoolSettings
from .status import State, StatusPage

_TICK = 0.25  # longest sleep of the parent; signals wake it at once
_SHORT_TICK = 0.02  # while a worker is awaited that cannot signal that it is ready
_WORTH_QUEUEING = 1.0  # seconds without any worker that a new connection may wait
_LATE = 4.0  # beyond drain and linger, before a worker that does not end is killed


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
        fresh: top-level packages that each worker imports anew, see `Target`.
    """

    def __init__(
        self,
        target: str,
        *,
        settings: PoolSettings,
        arguments: tuple[Any, ...] = (),
        fresh: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._page = StatusPage()
        self._page.set_wanted(settings.workers)
        self._page.set_pool_started(int(time.time()))
        self._children = Children(settings, self._page, Target(target, arguments, fresh))
        self._history = CrashHistory()
        self._replacements = Replacements()
        self._next_recycling = 0.0
        self._rng = random.Random()  # noqa: S311  jitter, no secret
        self._next_spawn = 0.0
        self._refusing = False
        self._stop: _Stop | None = None
        self._exit_code = 0
        self._signals = _Signals()
        self._acts: dict[int, Callable[[], None]] = {
            signal.SIGTERM: self._told_to_stop,
            signal.SIGINT: self._interrupted,
            signal.SIGHUP: self._told_to_reload,
            signal.SIGTTIN: lambda: self._scale_to(self._page.wanted + 1),
            signal.SIGTTOU: lambda: self._scale_to(self._page.wanted - 1),
            signal.SIGUSR1: lambda: self._scale_to(self._page.wanted),
        }

    def run(self) -> int:
        """Run until told to stop (SIGTERM, SIGINT). Returns the exit code.

        0 after a stop; 1 when the address or the name cannot be had; 70 when no worker was ever
        ready; 78 when a worker says that its settings cannot work. Each prints one line.
        """
        settings = self._settings
        if "SUPERVISOR_ENABLED" in os.environ:
            # A supervisord that is killed restarts nothing and stops nothing: nobody would.
            die_with_parent(os.getppid())
        try:
            self._lock = take_name(settings.run_dir, settings.name, self._page.fd)
            self._socket = listen(settings)
        except StartError as error:
            print(error, file=sys.stderr)
            return 1
        wakeup = self._catch_signals()
        host, port = self._socket.getsockname()[:2]
        plural = "" if settings.workers == 1 else "s"
        self._say(f"listening on {host}:{port} with {settings.workers} worker{plural}")
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
        for number in (signal.SIGCHLD, *self._acts):
            signal.signal(number, self._signals)
        return reader

    def _finished(self) -> bool:
        return self._stop is not None and not len(self._children)

    def _pause(self) -> float:
        if not self._replacements.idle:
            return _SHORT_TICK
        if self._stop is None and self._missing() > 0:
            return min(_TICK, max(0.0, self._next_spawn - time.monotonic()))
        return _TICK

    def _turn(self) -> None:
        queued, self._signals.queue = self._signals.queue, []
        for number in queued:
            if number in self._acts:
                self._acts[number]()
        for child, code in self._children.reap():
            self._buried(child, code)
        self._watch()
        if self._stop is None:
            self._replace()
            self._spawn_missing()
            self._refuse_if_alone()
        else:
            self._carry_on_stopping(self._stop)
        self._kill_late()

    # Starting

    def _missing(self) -> int:
        return self._page.wanted - len(self._children.active)

    def _spawn_missing(self) -> None:
        while self._missing() > 0 and time.monotonic() >= self._next_spawn:
            if self._spawn() is None:
                return

    def _spawn(self) -> Child | None:
        # The name must be free as soon as the parent is gone: no worker may hold its lock.
        return self._children.spawn(self._socket, (self._lock,))

    def _refuse_if_alone(self) -> None:
        """Close the queue until a worker opens it again, see `Worker`."""
        if self._children.active:
            self._refusing = False
        elif not self._refusing and self._next_spawn - time.monotonic() > _WORTH_QUEUEING:
            self._refusing = True
            if refuse(self._socket, self._settings.port):
                self._say("no worker is left: connections are refused until one has started")

    # Watching

    def _buried(self, child: Child, code: int) -> None:
        lived = time.monotonic() - child.started
        if child.seen_ready:
            self._history.was_ready()
        if not child.active or self._stop is not None:
            return
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        if child.pid == self._replacements.new:
            self._abort_replacements(f"the new worker {child.pid} {how}")
            return
        self._page.count_restart("crash" if child.aborted_at is None else "hang")
        if code == EXIT_CONFIG and not self._history.ever_ready:
            self._give_up(EXIT_CONFIG, "cannot start with these settings")
            return
        killed = code == -signal.SIGKILL and child.seen_ready and child.aborted_at is None
        self._history.died(lived, killed=killed)
        if self._history.cannot_boot:
            tries = self._history.failed_boots
            self._give_up(EXIT_SOFTWARE, f"cannot boot: no worker was ready in {tries} tries")
            return
        delay = respawn_delay(self._history.short_lives, self._rng)
        self._next_spawn = time.monotonic() + delay
        self._page.set_next_spawn(self._next_spawn)
        when = f"in {delay:.1f} s" if delay else "at once"
        self._say(f"worker {child.pid} {how} after {lived:.1f} s; starting another {when}")

    def _give_up(self, code: int, why: str) -> None:
        self._say(f"{why}; giving up")
        self._exit_code = code
        self._stop = _Stop(time.monotonic() - self._settings.drain_delay)

    def _watch(self) -> None:
        now_ns = time.monotonic_ns()
        for child in self._children:
            status = self._children.status(child)
            if status.state is State.READY and not child.seen_ready:
                child.seen_ready = True
                self._history.was_ready()
            if child.aborted_at is not None:
                if time.monotonic() - child.aborted_at > self._settings.abort_grace:
                    self._children.kill(child, signal.SIGKILL)
            elif is_hung(status, now_ns, self._settings):
                silent = silent_for(status, now_ns)
                what = "is not ready in time" if not child.seen_ready else "is silent"
                self._say(f"worker {child.pid} {what} ({silent:.1f} s): dumping and killing it")
                child.aborted_at = time.monotonic()
                self._children.kill(child, signal.SIGABRT)
            elif self._stop is None and child.seen_ready and child.active:
                self._recycle_if_over(child, now_ns)

    def _recycle_if_over(self, child: Child, now_ns: int) -> None:
        why = child.lifetime.over(self._children.status(child), now_ns)
        if why and self._replacements.idle and time.monotonic() >= self._next_recycling:
            self._next_recycling = time.monotonic() + self._settings.recycling.spacing
            self._say(f"worker {child.pid} is recycled: {why}")
            self._replacements.ask([child.pid], "recycle")

    # Replacing

    def _told_to_reload(self) -> None:
        if self._stop is None:
            pids = [child.pid for child in self._children.active]
            self._end_back_off()
            self._say(f"SIGHUP: replacing {len(pids)} workers one at a time")
            self._replacements.ask(pids, "reload")

    def _end_back_off(self) -> None:
        """Who asks for new workers may have mended what made the old ones crash."""
        self._history.short_lives = 0
        self._next_spawn = 0.0
        self._page.set_next_spawn(0.0)

    def _replace(self) -> None:
        replacements = self._replacements
        if replacements.new is not None:
            new = self._children.get(replacements.new)
            if new is not None and new.seen_ready:
                self._successor_is_ready(new)
            return
        if replacements.next([child.pid for child in self._children.active]) is None:
            return
        successor = self._spawn()
        if successor is None:
            self._abort_replacements("every slot is taken by a worker that drains")
        else:
            replacements.started(successor.pid)

    def _successor_is_ready(self, new: Child) -> None:
        candidate = self._replacements.ready()
        old = self._children.get(candidate.pid) if candidate else None
        if candidate and old is not None:
            self._page.count_restart(candidate.reason)
            self._say(
                f"worker {new.pid} is ready, {old.pid} drains ({candidate.reason},"
                f" {self._replacements.left} to go)"
            )
            self._children.drain(old)
        self._drain_surplus()  # the old one may have died meanwhile and been filled in for

    def _abort_replacements(self, why: str) -> None:
        left = self._replacements.left
        self._replacements.abort()
        self._say(f"replacing is aborted: {why}; {left} workers stay as they are")

    # Scaling

    def _scale_to(self, workers: int) -> None:
        if self._stop is not None:
            return
        workers = max(1, min(workers, MOST_WORKERS))
        self._page.set_wanted(workers)
        self._say(f"scaling to {workers} workers")
        if self._replacements.idle:
            self._drain_surplus()

    def _drain_surplus(self) -> None:
        surplus = -self._missing()
        youngest_first = sorted(
            self._children.active, key=lambda child: child.started, reverse=True
        )
        for child in youngest_first[: max(0, surplus)]:
            if child.pid != self._replacements.new:
                self._page.count_restart("scale")
                self._children.drain(child)

    # Stopping

    def _told_to_stop(self) -> None:
        if self._stop is None:
            self._say("told to stop: draining")
            self._page.set_stopping()  # readiness turns 503; workers go on accepting
            self._stop = _Stop(time.monotonic())

    def _interrupted(self) -> None:
        if self._stop is None:
            self._told_to_stop()
            return
        self._say("second Ctrl-C: killing the workers")
        for child in self._children:
            self._children.kill(child, signal.SIGKILL)

    def _carry_on_stopping(self, stop: _Stop) -> None:
        waited = time.monotonic() - stop.asked_at
        if stop.workers_told or waited < self._settings.drain_delay:
            return
        stop.workers_told = True
        # The last descriptor of the socket goes with the workers': what comes later is refused
        # at once, which a balancer retries elsewhere, and not left in a queue.
        self._socket.close()
        for child in self._children:
            self._children.drain(child)

    def _kill_late(self) -> None:
        limit = self._settings.drain_seconds + self._settings.linger_seconds + _LATE
        now = time.monotonic()
        for child in self._children:
            if child.terminated_at is not None and now - child.terminated_at > limit:
                self._say(f"worker {child.pid} did not finish in {limit:.0f} s: killing it")
                child.terminated_at = now
                self._children.kill(child, signal.SIGKILL)

    def _say(self, message: str) -> None:
        with suppress(OSError):  # nobody reads our log any more: no reason to stop working
            print(f"{self._settings.name}: {message}", file=sys.stderr, flush=True)
