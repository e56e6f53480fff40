"""Less is done for each call while this process itself has too much to do. Pure.

Each attempt waits for our own event loop too, so under load a call of many attempts takes a
multiple of what it takes else, and holds a place that another request waits for. Source: C. Klein
and others, "Brownout: Building More Robust Cloud Applications" (ICSE 2014): what is optional is
left out while there is too much to do, and here that is the seventh attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class BrownoutPolicy:
    """While what can run has waited `late` seconds in the event loop lately, a call may take
    `max(deadline, factor * p95 of successes)`; 0 for `deadline` switches it off.

    Ten times what nearly every success takes, so that a service that is slow by nature is not cut
    off; 0.25 s is what 99 of 100 calls need at the stock rates of the unstable service.
    """

    deadline: float = 0.250
    factor: float = 10.0
    late: float = 0.010

    def is_due(self, lag: float) -> bool:
        """`lag`: seconds that what can run has waited lately."""
        return lag >= self.late and self.deadline > 0

    def seconds(self, p95: float | None) -> float:
        """For a call while it is due; `p95` is None while it is unknown, no limit is inf."""
        return inf if p95 is None else max(self.deadline, self.factor * p95)
