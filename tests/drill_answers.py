"""Answers of a drill that never took place, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.drills.answers import Answer
from tests.drills.evidence import Evidence, Finding, LedgerCheck
from tests.drills.measure import Baseline, Times, baseline, between


def answer(due: float, **fields: Any) -> Answer:
    """A live answer to `GET /` after 10 ms, stored under an id of its own."""
    number = round(due * 1000)
    told: dict[str, Any] = {
        "number": number, "due": due, "late": 0.0, "latency": 0.01, "request": "ask",
        "status": 200, "outcome": "answered", "source": "live", "id": number,
        "stored": "replicated", **fields,
    }  # fmt: skip
    if told["request"] == "read":
        told |= {"source": "-", "stored": "-"}
    return Answer(**told)


def failed(due: float, outcome: str = "cut", **fields: Any) -> Answer:
    nothing = {"status": 0, "source": "-", "id": None, "stored": "-", "reason": outcome}
    return answer(due, outcome=outcome, **{**nothing, **fields})


def refused(due: float, **fields: Any) -> Answer:
    return failed(due, "refused", status=503, **fields)


def read(due: float, **fields: Any) -> Answer:
    return answer(due, request="read", **fields)


def steady(start: float, end: float, rate: float = 40.0, **fields: Any) -> list[Answer]:
    """Good answers, one in five a read."""
    count = round((end - start) * rate)
    return [
        (read if number % 5 == 4 else answer)(start + number / rate, **fields)
        for number in range(count)
    ]


def evidence(
    answers: Sequence[Answer],
    *,
    began: float = 5.0,
    gone: float = 10.0,
    recovered: float | None = 10.0,
    ended: float = 15.0,
    direct: Sequence[Answer] = (),
    ledger: LedgerCheck | None = None,
    checks: Sequence[Finding] = (),
    patience: float = 1.0,
) -> Evidence:
    """A drill whose load began at 0; the fault lasted from 5 s to 10 s."""
    ordered = sorted(answers, key=lambda answer: answer.due)
    before = between(ordered, 0.0, began)
    return Evidence(
        answers=ordered,
        direct=list(direct),
        started=0.0,
        began=began,
        gone=gone,
        acted=gone,
        recovered=recovered,
        ended=ended,
        before=baseline(before) if before else Baseline(Times(0.01, 0.01), 1.0, 1.0),
        ledger=LedgerCheck(acknowledged=100, copies={1: 100}) if ledger is None else ledger,
        checks=list(checks),
        patience=patience,
    )
