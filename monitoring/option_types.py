"""Numbers on the command line and in the environment, each refused with what would be allowed."""

from __future__ import annotations

import math
from typing import Any

import click


class Number(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions
    """A number from `low` to `high`, both allowed; a bad value is answered with the range.

    `above` excludes `low` itself. `high` None is no limit. `whole` takes no fractions and gives
    an int, else it is a float; nan is no number, and inf is none that is allowed.
    """

    def __init__(
        self, low: float, high: float | None = None, *, whole: bool = False, above: bool = False
    ) -> None:
        self._low = low
        self._high = high
        self._whole = whole
        self._above = above
        self.name = "integer" if whole else "number"

    @property
    def allowed(self) -> str:
        """`a number from 0.02 to 60`, `a whole number, 0 or more`."""
        kind = "a whole number" if self._whole else "a number"
        low = f"{self._low:.16g}"
        if self._high is None:
            return f"{kind} above {low}" if self._above else f"{kind}, {low} or more"
        high = f"{self._high:.16g}"
        if self._above:
            return f"{kind} above {low} and at most {high}"
        return f"{kind} from {low} to {high}"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """In `--help`: the range."""
        if self._high is None:
            return f"{'>' if self._above else '>='}{self._low:.16g}"
        return f"{'>' if self._above else ''}{self._low:.16g}..{self._high:.16g}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = int(value) if self._whole else float(value)
        except (ValueError, OverflowError):
            self._refuse(value, param, ctx)
        high = math.inf if self._high is None else self._high
        fits = self._low < number if self._above else self._low <= number
        if not (fits and number <= high and math.isfinite(number)):
            self._refuse(value, param, ctx)
        return number

    def _refuse(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        shown = str(value) if len(str(value)) <= 40 else f"{str(value)[:40]}…"
        self.fail(f"{shown!r} is not {self.allowed}", param, ctx)
