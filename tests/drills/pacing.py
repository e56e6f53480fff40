"""When requests are due, and what is asked next. Pure: the dice come in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

READS = 0.2  # share of requests that read back a record acknowledged before
FRESH = 0.1  # share on a connection of their own, as curl does; the others are kept alive


@dataclass(frozen=True, slots=True)
class Next:
    """`record`: (id, digest) of the acknowledged record to read, None: ask."""

    record: tuple[int, str] | None
    fresh: bool


def due_at(start: float, rate: float, number: int) -> float:
    """When request `number` (from 0) is due: evenly spaced, whatever became of earlier ones."""
    return start + number / rate


@dataclass
class Mix:
    """What is asked, one request after the other."""

    dice: random.Random
    records: list[tuple[int, str]] = field(default_factory=list)

    def next(self) -> Next:
        read = self.dice.random() < READS
        fresh = self.dice.random() < FRESH
        record = self.dice.choice(self.records) if read and self.records else None
        return Next(record, fresh)
