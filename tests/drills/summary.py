"""A drill's row: its figures, out of its evidence. Pure."""

from __future__ import annotations

from .drill import Drill
from .evidence import Evidence, Finding
from .measure import between, percentile, seconds, times, worst_second
from .results import DrillResult, Mark, Verdict


def summarise(
    drill: Drill, evidence: Evidence, findings: list[Finding], marks: list[Mark], rate: float
) -> DrillResult:
    answers = evidence.answers
    late = percentile((answer.late for answer in [*answers, *evidence.direct]), 0.99)
    verdict, reason = decide(findings, late, drill.lag * evidence.patience)
    timeline = seconds(answers, evidence.started, evidence.ended)
    never_seen = ("timeout", "cut")
    recovered = evidence.recovered
    return DrillResult(
        name=drill.name,
        about=drill.about,
        says=drill.says,
        verdict=verdict,
        reason=reason,
        findings=findings,
        requests=len(answers),
        failed=sum(answer.kind == "failed" for answer in answers),
        refused=sum(answer.kind == "refused" for answer in answers),
        unknown=sum(answer.outcome in never_seen for answer in evidence.asks),
        worst=worst_second(timeline),
        before=times(between(answers, evidence.started, evidence.began)),
        during=times(evidence.during),
        after=times(evidence.after),
        recovery=None if recovered is None else max(0.0, recovered - evidence.gone),
        acknowledged=evidence.ledger.acknowledged,
        lost=len(evidence.ledger.lost),
        copies=dict(evidence.ledger.copies),
        rate=rate,
        late_p99=late,
        began=evidence.began - evidence.started,
        gone=evidence.gone - evidence.started,
        recovered=None if recovered is None else recovered - evidence.started,
        events=marks,
        seconds=timeline,
    )


def decide(findings: list[Finding], late: float | None, lag: float) -> tuple[Verdict, str]:
    """The verdict and why. A generator that fell behind proves nothing, whatever was found."""
    if late is None:
        return "invalid", "no request was made"
    if late > lag:
        return "invalid", f"the load generator was {late:.2f} s late, {lag:g} s is allowed"
    broken = [finding.sentence for finding in findings if not finding.held]
    return ("failed", "; ".join(broken)) if broken else ("passed", "")
