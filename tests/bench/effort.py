"""How long and how often is measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds are those of one sample. wrk knows whole seconds only; more rounds of one second
    say more than fewer of two.
    """

    name: str
    rounds: int
    seconds: float
    wrk_rounds: int
    wrk_seconds: int
    wrk_warmup: int
    cost_pairs: int  # of programs started anew, where a difference of a few percent is looked for
    paced_seconds: float
    paced_warmup: float
    resilience_rounds: int
    resilience_seconds: float
    footprint_requests: int  # at least as many, or as many as the seconds below allow
    footprint_seconds: float
    spread_rounds: int
    spread_seconds: int  # in a second, which worker the CPUs ran longest weighs too much
    losses_rounds: int
    losses_requests: int  # our pools are restarted and killed until so many were asked
    most_cases: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.most_cases is None

    def cases(self, all_of_them: Sequence[T]) -> list[T]:
        """Those that are measured: in a quick run only the first."""
        return list(all_of_them[: self.most_cases])


QUICK = Effort(
    "quick",
    rounds=1,
    seconds=1.0,
    wrk_rounds=1,
    wrk_seconds=1,
    wrk_warmup=0,
    cost_pairs=1,
    paced_seconds=0.5,
    paced_warmup=0.1,
    resilience_rounds=1,
    resilience_seconds=2.0,
    footprint_requests=200,
    footprint_seconds=1.0,
    spread_rounds=1,
    spread_seconds=1,
    losses_rounds=1,
    losses_requests=0,
    most_cases=1,
)
# `make bench`: all of it in ten minutes on two cores.
STANDARD = Effort(
    "standard",
    rounds=3,
    seconds=2.0,
    wrk_rounds=3,
    wrk_seconds=1,
    wrk_warmup=1,
    cost_pairs=2,
    paced_seconds=0.6,
    paced_warmup=0.1,
    resilience_rounds=2,
    resilience_seconds=6.5,
    footprint_requests=1_000_000,
    footprint_seconds=5.0,
    spread_rounds=2,
    spread_seconds=3,
    losses_rounds=2,
    losses_requests=0,
)
FULL = Effort(
    "full",
    rounds=7,
    seconds=5.0,
    wrk_rounds=9,
    wrk_seconds=4,
    wrk_warmup=2,
    cost_pairs=12,
    paced_seconds=5.0,
    paced_warmup=0.5,
    resilience_rounds=5,
    resilience_seconds=60.0,
    footprint_requests=1_000_000,
    footprint_seconds=float("inf"),
    spread_rounds=3,
    spread_seconds=60,
    losses_rounds=7,
    losses_requests=100_000,
)
