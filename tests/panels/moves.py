"""How the lines of a panel changed between two looks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

Direction = Literal["rises", "falls"]
Look = Mapping[frozenset[tuple[str, str]], float]  # a line's last value by its labels

# What noise does at a light load: a line that changes by less stands still.
_AT_LEAST = 0.25
_OF_ITSELF = 0.3


@dataclass(frozen=True)
class Expected:
    """What a fault does to a panel.

    `labels` choose the lines, which are added up; a line that is no longer drawn counts as 0.
    `ref` is the panel's query, the first one of two being "A".
    """

    board: str
    panel: str
    direction: Direction
    labels: Mapping[str, str]
    ref: str = "A"

    def __str__(self) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in self.labels.items())
        return f"{self.board}: {self.panel}" + (f" ({chosen})" if chosen else "")


def last_values(lines: Iterable[Mapping[str, Any]], not_before: float) -> Look:
    """Of Prometheus' range answer: each line's last number that is newer than a Unix time."""
    found = {}
    for line in lines:
        numbers = [
            float(text)
            for time, text in line["values"]
            if time >= not_before and isfinite(float(text))
        ]
        if numbers:
            found[frozenset(line["metric"].items())] = numbers[-1]
    return found


def total(look: Look, labels: Mapping[str, str]) -> float:
    """Of the lines that have these labels."""
    return sum(value for line, value in look.items() if labels.items() <= dict(line).items())


def moved(before: float, after: float, direction: Direction) -> bool:
    """Whether a line did what was expected, and not just trembled."""
    change = after - before if direction == "rises" else before - after
    return change >= max(_AT_LEAST, _OF_ITSELF * abs(before))
