"""`python -m monitoring.guardian`: supervisord's event listener that brings programs back from
FATAL.

Two threads: the main one speaks the event protocol and answers at once (supervisord drops events
of a listener that does not), the other one decides and acts.
"""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import click
from supervisor import childutils

from ..option_types import Number
from ..stack.supervision import Supervisor, SupervisorError
from .revival import Revival, RevivalSettings

Change = tuple[str, str]  # program, state

_NAME = "guardian"
_Main = Callable[..., None]


def events(source: TextIO, sink: TextIO) -> Iterator[Change]:
    """State changes as supervisord reports them, each acknowledged at once; ends with the pipe."""
    while True:
        childutils.listener.ready(sink)
        line = source.readline()
        if not line:
            return
        headers = childutils.get_headers(line)
        payload = childutils.get_headers(source.read(int(headers["len"])))
        childutils.listener.ok(sink)
        if headers["eventname"].startswith("PROCESS_STATE_"):
            yield payload["processname"], headers["eventname"].removeprefix("PROCESS_STATE_")


def guard(changes: queue.SimpleQueue[Change], revival: Revival, supervisor: Supervisor) -> None:
    """Decide and act, for ever. Every decision is one line on stderr."""
    _report_those_already_fatal(changes, supervisor)
    while True:
        try:
            name, state = changes.get(timeout=revival.seconds_until_due())
        except queue.Empty:
            for due in revival.take_due():
                _revive(due, revival, supervisor)
            continue
        delay = None if name == _NAME else revival.changed(name, state)
        if delay is not None:
            _say(f"{name} is in FATAL: start again in {delay:.1f} s")


def _revive(name: str, revival: Revival, supervisor: Supervisor) -> None:
    try:
        process = supervisor.processes().get(name)  # news may still be on its way
        if process is None or process.state != "FATAL":
            _say(f"{name} is {process.state if process else 'gone'} by now: left alone")
            return
        supervisor.start(name)
        _say(f"{name} is started again")
    except SupervisorError as error:
        delay = revival.failed(name)
        _say(f"{name} cannot be started ({error}): next try in {delay:.1f} s")


def _report_those_already_fatal(changes: queue.SimpleQueue[Change], supervisor: Supervisor) -> None:
    """This listener may have died and missed the event."""
    try:
        for process in supervisor.processes().values():
            if process.state == "FATAL":
                changes.put((process.name, process.state))
    except SupervisorError as error:
        _say(f"cannot ask for programs already in FATAL: {error}")


def _end_with_thread(args: threading.ExceptHookArgs) -> None:
    """Half a guardian would look alive and guard nothing: supervisord starts a whole one."""
    sys.__excepthook__(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    os._exit(1)


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}", file=sys.stderr, flush=True)


def _seconds(name: str, default: float, least: float, text: str) -> Callable[[_Main], _Main]:
    return click.option(
        f"--{name}",
        envvar=f"GUARDIAN_{name.upper().replace('-', '_')}",
        show_envvar=True,
        default=default,
        show_default=True,
        type=Number(least, 86_400),
        help=text,
    )


@click.command(context_settings={"max_content_width": 100})
@_seconds("first-delay", 5.0, 0.1, "Seconds until the first new start; doubles every time.")
@_seconds("longest-delay", 60.0, 0.1, "Seconds it never exceeds (but for jitter).")
@_seconds("steady-after", 60.0, 0.0, "Seconds of running after which the delay begins anew.")
def main(first_delay: float, longest_delay: float, steady_after: float) -> None:
    """Event listener of supervisord: starts programs in FATAL again, never those in STOPPED."""
    url = os.environ.get("SUPERVISOR_SERVER_URL", "")
    if not url.startswith("unix://"):
        raise click.ClickException("this is started by supervisord, as an [eventlistener:…]")
    settings = RevivalSettings(first_delay, longest_delay, steady_after)
    changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
    revival = Revival(settings, time.monotonic, random.random)
    supervisor = Supervisor(Path(url.removeprefix("unix://")))
    threading.excepthook = _end_with_thread
    threading.Thread(target=guard, args=(changes, revival, supervisor), daemon=True).start()
    for change in events(sys.stdin, sys.stdout):
        changes.put(change)


if __name__ == "__main__":
    main(prog_name="python -m monitoring.guardian")
