"""What can be set, within which limits, and what is set. Pure.

Names, limits and defaults come from the faults; the command line, the environment and `PUT
/faults` are all checked here, so they accept and refuse the same values.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

MAX_SEED = 2**53 - 1  # whole numbers up to here survive JSON in every language
_ROUNDING = 1e-9  # 0.7 + 0.2 + 0.1 may end a hair above 1
_UNKNOWN = 10  # so many unknown names are repeated
_SHOWN = 80  # characters of a bad value that are repeated to whoever sent it


class BadSettingError(ValueError):
    """A setting was refused; the message names it, the value, and what is allowed."""


@dataclass(frozen=True)
class Knob:
    """One number that can be set: `low` to `high`, both allowed; `whole` if without fraction."""

    name: str
    default: float
    low: float
    high: float
    help: str
    whole: bool = False

    @property
    def allowed(self) -> str:
        number = "a whole number" if self.whole else "a number"
        return f"{number} from {self.low:.16g} to {self.high:.16g}"

    def accept(self, value: object) -> float:
        """The value, if it is fine. true and false are no numbers here.

        Raises BadSettingError saying what is allowed (it does not repeat the name).
        """
        if (
            not isinstance(value, int if self.whole else int | float)
            or isinstance(value, bool)
            or not self.low <= value <= self.high
        ):
            raise BadSettingError(f"must be {self.allowed}, got {_shown(value)}")
        return value if self.whole else float(value)


SEED = Knob("seed", 0, 0, MAX_SEED, "Number that makes the run repeatable.", whole=True)


@dataclass(frozen=True)
class Schema:
    """All knobs by name, and the rates that share one draw (see `decision.py`).

    `failing` and `slowing` map the kind of a fault to the name of its rate.
    """

    knobs: Mapping[str, Knob]
    failing: Mapping[str, str]
    slowing: Mapping[str, str]


@dataclass(frozen=True)
class FaultSettings:
    """One complete set of values; made by `checked`, so always valid. Changing makes a new one."""

    schema: Schema
    values: Mapping[str, float]
    failing: Mapping[str, float]  # kind of fault -> rate
    slowing: Mapping[str, float]

    @classmethod
    def checked(cls, schema: Schema, given: Mapping[str, object]) -> FaultSettings:
        """What is not given has its default.

        Raises BadSettingError naming everything that is bad, not only the first.
        """
        values = {name: knob.default for name, knob in schema.knobs.items()}
        unknown = [name for name in given if name not in schema.knobs]
        problems = [_unknown(name, schema) for name in unknown[:_UNKNOWN]]
        for name, knob in schema.knobs.items():
            if name in given:
                try:
                    values[name] = knob.accept(given[name])
                except BadSettingError as error:
                    problems.append(f"{name} {error}")
        if not problems:
            for names in (schema.failing.values(), schema.slowing.values()):
                problems += _over_one(names, values)
        if problems:
            raise BadSettingError("; ".join(problems))
        return cls(
            schema,
            MappingProxyType(values),
            {kind: values[name] for kind, name in schema.failing.items()},
            {kind: values[name] for kind, name in schema.slowing.items()},
        )

    def changed(self, changes: Mapping[str, object]) -> FaultSettings:
        """These settings with some replaced. Raises BadSettingError."""
        return self.checked(self.schema, {**self.values, **changes})

    @property
    def rates(self) -> dict[str, float]:
        """Kind of fault -> rate, both groups."""
        return {**self.failing, **self.slowing}


def _over_one(names: Iterable[str], values: Mapping[str, float]) -> list[str]:
    used = {name: values[name] for name in names if values[name]}
    total = math.fsum(used.values())
    if total <= 1 + _ROUNDING:
        return []
    terms = " + ".join(f"{name} {rate:g}" for name, rate in used.items())
    return [f"{terms} is {total:g}; a request meets one of these, so together at most 1"]


def _unknown(name: str, schema: Schema) -> str:
    near = difflib.get_close_matches(name[:_SHOWN], schema.knobs, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{_shown(name)} is not a setting; {hint}known are {', '.join(schema.knobs)}"


def _shown(value: object) -> str:
    """As JSON, cut short; containers by their name, they may be deep."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
