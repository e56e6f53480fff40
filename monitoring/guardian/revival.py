"""When a program in FATAL is started again: back-off per program, hands off what the user stopped.

Pure; clock and dice come in. FATAL is where supervisord gives up for ever; everything before it
is supervisord's own business.

    FATAL     start again after min(longest, first x 2^k) s, times a random 0.8 to 1.2; k grows
    RUNNING   remembered; after `steady_after` s of it k is 0 again
    STOPPED   the user wants it so: forgotten until it is started again
    others    somebody, maybe we, has started it: nothing is due
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JITTER = 0.2  # programs that fell together must not come back together


@dataclass(frozen=True)
class RevivalSettings:
    """Seconds, all of them."""

    first_delay: float = 5.0
    longest_delay: float = 60.0
    steady_after: float = 60.0


@dataclass
class _Program:
    tries: int = 0
    due: float | None = None
    running_since: float | None = None


class Revival:
    """The decisions for all programs of one supervisord.

    Args:
        clock: monotonic seconds.
        dice: a random number from 0 up to 1.
    """

    def __init__(
        self,
        settings: RevivalSettings,
        clock: Callable[[], float],
        dice: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._programs: dict[str, _Program] = {}

    def changed(self, name: str, state: str) -> float | None:
        """A program has changed its state; the delay in seconds if it will be started again."""
        program = self._programs.setdefault(name, _Program())
        now = self._clock()
        if program.running_since is not None and state != "RUNNING":
            if now - program.running_since >= self._settings.steady_after:
                program.tries = 0
            program.running_since = None
        program.due = None
        if state == "RUNNING":
            program.running_since = now
        elif state == "STOPPED":
            program.tries = 0
        elif state == "FATAL":
            return self._schedule(program)
        return None

    def failed(self, name: str) -> float:
        """The start itself was refused or could not be asked for; the delay until the next."""
        return self._schedule(self._programs.setdefault(name, _Program()))

    def take_due(self) -> list[str]:
        """Programs to start now, each handed out once."""
        now = self._clock()
        names = []
        for name, program in self._programs.items():
            if program.due is not None and program.due <= now:
                program.due = None
                names.append(name)
        return names

    def seconds_until_due(self) -> float | None:
        """Until the next start; None when none is planned."""
        due = [program.due for program in self._programs.values() if program.due is not None]
        return max(0.0, min(due) - self._clock()) if due else None

    def _schedule(self, program: _Program) -> float:
        settings = self._settings
        # 2^30 is beyond any cap; more would overflow a float after a year of trying
        delay = min(settings.longest_delay, settings.first_delay * 2.0 ** min(program.tries, 30))
        delay *= 1.0 - JITTER + 2.0 * JITTER * self._dice()
        program.tries += 1
        program.due = self._clock() + delay
        return delay
