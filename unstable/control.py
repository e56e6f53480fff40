"""What is set now, and the dice. Pure: no I/O, and the dice come in from outside."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from .decision import decide
from .settings import SEED, FaultSettings


@dataclass(frozen=True)
class Decision:
    """What was decided for a request: its `number` since the seed was set (from 1) and the kind
    of fault; `settings` are those of that moment, a later change does not touch the request."""

    number: int
    kind: str
    settings: FaultSettings


class FaultControl:
    """The settings in force.

    The dice are seeded here with `settings.values["seed"]`. The n-th decision after that depends
    on the seed, on n, on the rates at that moment and on the request's overrides, on nothing else.
    Requests that run at the same time are numbered in the order in which they arrive.
    """

    def __init__(self, settings: FaultSettings, dice: random.Random) -> None:
        self._at_start = settings
        self._dice = dice
        self._adopt(settings, restart=True)

    @property
    def settings(self) -> FaultSettings:
        return self._settings

    def decide(self, *, fail: bool | None = None, delay: bool | None = None) -> Decision:
        """The next decision; see `decision.decide` for the overrides."""
        self._number += 1
        now = self._settings
        kind = decide(now.failing, now.slowing, self._dice, fail=fail, delay=delay)
        return Decision(self._number, kind, now)

    def change(self, changes: Mapping[str, object]) -> None:
        """Replace some settings; a seed among them, even the same, restarts the sequence.

        Raises BadSettingError, and then nothing has changed.
        """
        self._adopt(self._settings.changed(changes), restart=SEED.name in changes)

    def restore(self) -> None:
        """Back to how it started, sequence included."""
        self._adopt(self._at_start, restart=True)

    def _adopt(self, settings: FaultSettings, *, restart: bool) -> None:
        self._settings = settings
        if restart:
            self._dice.seed(int(settings.values[SEED.name]))
            self._number = 0
