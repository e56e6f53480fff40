"""The shape of a drill. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .invariants import Promise

if TYPE_CHECKING:
    from .scene import Scene

About = Literal["external service", "processes", "shards", "load"]


class NotHereError(Exception):
    """Raised by a drill's `act` before it breaks anything: what this machine lacks for it. The
    drill is then reported as not run, never as passed."""


@dataclass(frozen=True)
class Drill:
    """One named fault and what must hold while it happens.

    Args:
        name: as on the command line.
        about: the part of the product it is about.
        says: one sentence: what is done.
        act: does it to the stack; see `Scene`.
        promises: what must hold, besides what every drill holds against the product.
        takes: seconds that `act` takes, about; for the time left.
        lag: seconds by which the load generator may be late for one request in a hundred, or the
            drill proves nothing.
        long: runs only when it is named.
    """

    name: str
    about: About
    says: str
    act: Callable[[Scene], None]
    promises: tuple[Promise, ...]
    takes: float
    lag: float = 0.1
    long: bool = False
