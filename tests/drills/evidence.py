"""Everything a drill has found out, for the invariants to judge. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from .answers import Answer
from .measure import Baseline, between


@dataclass(frozen=True)
class Finding:
    """Whether a promise was kept; `sentence` is its name, `detail` what was seen."""

    sentence: str
    held: bool
    detail: str = ""


@dataclass(frozen=True)
class LedgerCheck:
    """What became of the acknowledged writes.

    `lost`: ids that cannot be read with the data they were acknowledged with, and why.
    `copies`: number of copies found on the shards -> number of records.
    """

    acknowledged: int = 0
    lost: Mapping[int, str] = field(default_factory=dict)
    copies: Mapping[int, int] = field(default_factory=dict)


def settle(
    acknowledged: Mapping[int, str], door: Mapping[int, str], copies: Mapping[int, list[str]]
) -> LedgerCheck:
    """What both ways of reading come to.

    `door`: id -> why it cannot be read there; `copies`: id -> digests of the copies found.
    """
    lost = dict(door)
    right: Counter[int] = Counter()
    for record_id, wanted in acknowledged.items():
        count = copies.get(record_id, []).count(wanted)
        right[count] += 1
        if not count:
            other = "other data" if copies.get(record_id) else "no copy"
            lost[record_id] = ", ".join(filter(None, (door.get(record_id), f"{other} on a shard")))
    return LedgerCheck(len(acknowledged), lost, dict(sorted(right.items())))


@dataclass(frozen=True)
class Evidence:
    """A drill's answers and moments, in seconds of one monotonic clock.

    Args:
        answers: at the front door, in the order in which they were due.
        direct: those of a load of its own at one instance, not through the front door.
        started, ended: of the load.
        began, gone: of the fault; `gone` is when the cure was asked for, or when the last blow
            fell, for a fault that heals by itself.
        acted: when the drill had done all it does, and seen what it waits for.
        recovered: from then on it was as good as before; None: it never was.
        patience: what times are multiplied with on a machine that has other things to do.
        checks: what the drill looked at besides the answers.
    """

    answers: list[Answer]
    direct: list[Answer]
    started: float
    began: float
    gone: float
    acted: float
    recovered: float | None
    ended: float
    before: Baseline
    ledger: LedgerCheck
    checks: list[Finding] = field(default_factory=list)
    patience: float = 1.0

    @property
    def asks(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.request == "ask"]

    @property
    def end_of_fault(self) -> float:
        """Until then requests count as *during*."""
        return self.ended if self.recovered is None else max(self.acted, self.recovered)

    @property
    def during(self) -> list[Answer]:
        return between(self.answers, self.began, self.end_of_fault)

    @property
    def after(self) -> list[Answer]:
        return between(self.answers, self.end_of_fault, self.ended)
