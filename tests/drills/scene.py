"""What a drill's `act` works with: the stack, the clock, and what happened when. Edge."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from .evidence import Finding
from .load_process import LoadProcess
from .stack import DrillStack, StackError, send_signal, wait_for


@dataclass(frozen=True)
class Event:
    """Something that was done to the stack; `at` on the monotonic clock."""

    at: float
    what: str


@dataclass
class Scene:
    """One drill while it happens.

    Args:
        rate: requests a second of the steady load; `capacity` is what the machine can do.
        short: a few seconds instead of the full length, as in the project's own tests.
        patience: what times that are checked in here are multiplied with.
        start_load: starts another load beside the steady one: its name, its rate and the port
            variable of what is asked.
        dice: the drill's own, from the seed of the run.
    """

    stack: DrillStack
    dice: Random
    rate: float
    capacity: float
    short: bool
    patience: float
    start_load: Callable[[str, float, str], LoadProcess]
    events: list[Event] = field(default_factory=list)
    checks: list[Finding] = field(default_factory=list)
    gone: float | None = None

    def event(self, what: str) -> None:
        """Note that something is being done now. The first one begins the fault."""
        self.events.append(Event(time.monotonic(), what))

    def cure(self) -> None:
        """From now on the fault is being taken away; recovery times count from here. Without it
        they count from the last event."""
        self.gone = time.monotonic()

    def wait(self, seconds: float, *, short: float) -> None:
        time.sleep(short if self.short else seconds)

    def check(self, sentence: str, held: bool, detail: str) -> None:
        """A promise that answers alone cannot show."""
        self.checks.append(Finding(sentence, held, detail))

    def check_soon(self, sentence: str, condition: Callable[[], object], within: float) -> None:
        """A promise that must come true within so many seconds."""
        try:
            took = wait_for(condition, sentence, within * self.patience)
        except StackError:
            self.check(sentence, False, f"not within {within * self.patience:g} s")
        else:
            self.check(sentence, True, f"after {took:.1f} s")

    # What is done to the stack, each an event

    def ctl(self, *arguments: str) -> None:
        self.event(f"supervisorctl {' '.join(arguments)}")
        self.stack.ctl(*arguments)

    def signal(self, pid: int, number: signal.Signals, who: str) -> None:
        self.event(f"kill -{number.name.removeprefix('SIG')} {who}")
        send_signal(pid, number)

    def thaw(self, pid: int, who: str) -> None:
        """SIGCONT, also to one that was killed meanwhile."""
        with suppress(StackError):
            self.signal(pid, signal.SIGCONT, who)

    def faults(self, **rates: float) -> None:
        """Change how the external service fails; nothing given: as it was."""
        if rates:
            self.event("PUT /faults " + ", ".join(f"{k} {v:g}" for k, v in rates.items()))
            status, body = self.stack.http("PUT", "UNSTABLE_PORT", "/faults", rates)
        else:
            self.event("DELETE /faults")
            status, body = self.stack.http("DELETE", "UNSTABLE_PORT", "/faults")
        if status != 200:
            raise StackError(f"/faults answered {status}: {body!r}")
