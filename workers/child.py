"""The life of one worker process, from the fork to its exit."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ctypes.util
import faulthandler
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import uvloop

from .status import StatusPage
from .worker import Identity, Worker

EXIT_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h: the target raised
EXIT_CONFIG = 78  # EX_CONFIG: starting again cannot help

_PR_SET_PDEATHSIG = 1

Serve = Callable[..., Coroutine[Any, Any, None]]


class BootError(Exception):
    """Raised by a target that cannot start whatever is tried; the message is one line.

    The pool prints it and ends with exit code 78 instead of trying again.
    """


@dataclass(frozen=True)
class Target:
    """What a worker runs.

    Attributes:
        name: `"package.module:coroutine_function"`, imported in each worker.
        arguments: handed to it after the `Worker`.
        fresh: top-level packages that each worker imports anew although the parent has them, so
            that a rolling restart runs the code that is on the disk by then.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    fresh: tuple[str, ...] = ()

    def load(self) -> Serve:
        """Raises BootError when there is no such thing; an import that fails deeper down is the
        user's own code, and its own exception is raised."""
        for module in list(sys.modules):
            if module.partition(".")[0] in self.fresh:
                del sys.modules[module]
        importlib.invalidate_caches()
        module, _, name = self.name.partition(":")
        try:
            loaded: Serve = getattr(importlib.import_module(module), name)
        except (ModuleNotFoundError, AttributeError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name not in _parents(module):
                raise
            raise BootError(f"cannot import {self.name}: {error}") from None
        return loaded


def run_child(target: Target, identity: Identity, sock: socket.socket, page: StatusPage) -> int:
    """Import the target, run it on a loop of its own, return the exit code."""
    faulthandler.enable()  # SIGABRT from the parent dumps the stacks to stderr
    _reset_signals()
    try:
        serve = target.load()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(serve, target.arguments, identity, sock, page))
    except BootError as error:
        print(f"{identity.name}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except BaseException:  # noqa: BLE001  the process ends here: whatever it was, say it
        traceback.print_exc()
        return EXIT_SOFTWARE
    return 0


def die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies, however it dies (Linux).

    Args:
        parent: the caller's parent as it was before; the caller ends at once if it died since.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)


async def _serve(
    serve: Serve,
    arguments: tuple[Any, ...],
    identity: Identity,
    sock: socket.socket,
    page: StatusPage,
) -> None:
    worker = Worker(identity, sock, page)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    heartbeat = asyncio.create_task(worker.beat())
    try:
        await serve(worker, *arguments)
    finally:
        heartbeat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heartbeat


def _parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C reaches the whole process group; the parent decides what it means. The pool's other
    # signals are the parent's too, and must not end a worker that they reach by mistake.
    for number in (signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
