"""Which fault a request meets. Pure: rates and dice come in, a name goes out.

Two decisions, in this order:

1. Does it fail? One draw picks among the failing faults; their rates are shares of *all* requests
   and add up to at most 1.
2. If it does not: is it slowed down? One draw picks among the slowing faults; their rates are
   shares of *the rest*.

With the stock rates (failure 0.3, delay 0.3) 30 % fail, 0.7 x 0.3 = 21 % are late, 49 % are clean.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

CLEAN = "none"
FAILURE = "failure"  # what `fail=True` forces
DELAY = "delay"  # what `delay=True` forces

Rates = Mapping[str, float]  # kind of fault -> probability; earlier kinds own the lower draws


def decide(
    failing: Rates,
    slowing: Rates,
    dice: random.Random,
    *,
    fail: bool | None = None,
    delay: bool | None = None,
) -> str:
    """The kind of fault, or CLEAN.

    Exactly two numbers are drawn whatever the rates and the overrides are, so the draws of the
    n-th request depend on the seed and on n alone: changing a rate, or forcing some requests,
    does not shift the luck of those that come after.

    Args:
        fail, delay: True forces FAILURE or DELAY, False rules the whole group out, None draws.
            A request that is told both to fail and to be late fails at once.
    """
    first, second = dice.random(), dice.random()
    return (
        _outcome(fail, FAILURE, failing, first) or _outcome(delay, DELAY, slowing, second) or CLEAN
    )


def _outcome(override: bool | None, forced: str, rates: Rates, draw: float) -> str | None:
    if override is None:
        return _pick(rates, draw)
    return forced if override else None


def _pick(rates: Rates, draw: float) -> str | None:
    """The kind whose stretch of [0, 1) holds the draw, each stretch as long as its rate."""
    end = 0.0
    for kind, rate in rates.items():
        end += rate
        if draw < end:
            return kind
    return None
