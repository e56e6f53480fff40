"""Each promise is kept by a product that keeps it, and broken by one that does not."""

from __future__ import annotations

import pytest

from tests.drill_answers import answer, evidence, failed, refused, steady
from tests.drills import invariants
from tests.drills.answers import Answer
from tests.drills.evidence import Finding, LedgerCheck, settle
from tests.drills.invariants import Promise

GOOD = steady(0, 15)
FALLBACKS = [
    *steady(0, 5),
    *(answer(5 + n / 40, source="fallback") for n in range(200)),
    *steady(10.2, 15),
]


def without(answers: list[Answer], start: float, end: float) -> list[Answer]:
    return [a for a in answers if not start <= a.due < end]


# A promise, answers that keep it, answers that break it.
CASES: list[tuple[Promise, list[Answer], list[Answer]]] = [
    (invariants.no_ask_fails, [*GOOD, refused(6.0, request="read")], [*GOOD, refused(6.0)]),
    (invariants.no_ask_fails, GOOD, [*GOOD, failed(6.0, "timeout", latency=10.0)]),
    (invariants.no_read_fails, [*GOOD, failed(6.0)], [*GOOD, refused(6.0, request="read")]),
    (
        invariants.answered_within(2.5),
        [*GOOD, answer(6.0, latency=2.4)],
        [*GOOD, failed(6.0, "timeout", latency=10.0)],
    ),
    (invariants.only_fallbacks(1), FALLBACKS, [*FALLBACKS, answer(7.0)]),
    (invariants.only_fallbacks(1), FALLBACKS, [*FALLBACKS, failed(7.0)]),
    (invariants.only_fallbacks(1), [*FALLBACKS, answer(5.5)], GOOD),
    (
        invariants.real_data_again(2),
        FALLBACKS,
        [
            *without(FALLBACKS, 10, 13),
            *(answer(10 + n / 40, source="fallback") for n in range(120)),
        ],
    ),
    (
        invariants.goes_on_storing(1),
        [*GOOD, answer(5.5, stored="false", id=None)],
        [*GOOD, answer(7.0, stored="false", id=None)],
    ),
    (
        invariants.goes_on_reading(1),
        [*GOOD, refused(5.5, request="read")],
        [*GOOD, refused(7.0, request="read")],
    ),
    (
        invariants.fails_only_within(2),
        [*without(GOOD, 5, 6), *(failed(5 + n / 40, "connect") for n in range(40))],
        [*GOOD, failed(7.5, "connect")],
    ),
    (invariants.fails_only_within(2), [*GOOD, failed(4.9, latency=0.2)], [*GOOD, failed(3.0)]),
    (
        invariants.as_fast_as_before(2),
        [*GOOD, *(refused(6.0, latency=5.0) for _ in range(50))],
        [*GOOD, *(answer(6.0, latency=1.0) for _ in range(50))],
    ),
    (
        invariants.reads_as_fast,
        [*GOOD, *(answer(5.5, latency=1.0, request="read") for _ in range(50))],
        [*GOOD, *(answer(6.5, latency=1.0, request="read") for _ in range(400))],
    ),
    (
        invariants.only_quick_refusals(0.5),
        [*GOOD, refused(6.0, latency=0.1)],
        [*GOOD, refused(6.0, latency=2.0)],
    ),
    (invariants.only_quick_refusals(0.5), GOOD, [*GOOD, failed(6.0, "error", status=502)]),
    (invariants.no_false_404, GOOD, [*GOOD, failed(6.0, "missing", request="read", status=404)]),
    (invariants.right_data, GOOD, [*GOOD, failed(6.0, "wrong", request="read", status=200)]),
    (invariants.ids_unique, GOOD, [*GOOD, answer(6.0, id=7), answer(6.1, id=7)]),
]


@pytest.mark.parametrize(("promise", "kept", "broken"), CASES)
def test_a_promise_is_kept_by_one_and_broken_by_the_other(
    promise: Promise, kept: list[Answer], broken: list[Answer]
):
    assert promise(evidence(kept)).held, promise(evidence(kept))
    finding = promise(evidence(broken))
    assert not finding.held, finding
    assert finding.sentence == promise(evidence(kept)).sentence


@pytest.mark.parametrize("promise", list(dict.fromkeys(case[0] for case in CASES)))
def test_a_promise_is_not_kept_when_nobody_asked(promise: Promise):
    if promise is not invariants.ids_unique:  # of no ids none is given twice
        assert not promise(evidence([])).held


def test_what_went_wrong_is_told_with_how_often_and_why():
    bad = [*(failed(6 + n, "cut", reason="reset by peer") for n in range(3)), refused(7.0)]
    told = invariants.no_ask_fails(evidence([*GOOD, *bad])).detail
    assert "4 of 484" in told
    assert "3 x cut: reset by peer" in told


def test_patience_stretches_times_and_forgives_no_failure():
    slow = [*GOOD, answer(6.0, latency=3.0)]
    assert not invariants.answered_within(2.5)(evidence(slow)).held
    assert invariants.answered_within(2.5)(evidence(slow, patience=2.0)).held
    assert not invariants.no_ask_fails(evidence([*GOOD, failed(6.0)], patience=100.0)).held


def test_a_drill_that_never_recovered_or_too_late_has_not_kept_its_word():
    promise = invariants.recovers(3)
    assert promise(evidence(GOOD, recovered=12.5)).held
    assert not promise(evidence(GOOD, recovered=13.5)).held
    assert not promise(evidence(GOOD, recovered=None)).held


def test_a_stopping_instance_may_refuse_but_not_cut():
    refusals = [*steady(0, 5), failed(6.0, "connect")]
    assert invariants.instance_cuts_nothing(evidence(GOOD, direct=refusals)).held
    assert not invariants.instance_cuts_nothing(evidence(GOOD, direct=[failed(6.0)])).held
    assert not invariants.instance_cuts_nothing(evidence(GOOD)).held
    assert not invariants.instance_refuses_nothing(evidence(GOOD, direct=refusals)).held
    assert invariants.instance_refuses_nothing(evidence(GOOD, direct=steady(0, 5))).held


def test_an_id_given_by_an_instance_and_again_at_the_front_door_is_given_twice():
    assert not invariants.ids_unique(evidence(GOOD, direct=[answer(3.0, id=GOOD[0].id)])).held


# The ledger


def test_a_lost_write_is_lost_however_many_are_not():
    ledger = LedgerCheck(acknowledged=1000, lost={5: "missing at the front door"})
    finding = invariants.nothing_lost(evidence(GOOD, ledger=ledger))
    assert not finding.held
    assert "1 of 1,000" in finding.detail
    assert "missing at the front door" in finding.detail


def test_without_one_acknowledged_write_nothing_is_proved():
    assert not invariants.nothing_lost(evidence(GOOD, ledger=LedgerCheck())).held


def test_a_record_counts_as_there_only_when_both_ways_of_reading_agree():
    wanted = {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}
    copies = {1: ["a", "a"], 2: ["b"], 3: [], 4: ["x"], 5: ["e"]}
    check = settle(wanted, {5: "missing at the front door"}, copies)
    assert check.acknowledged == 5
    assert check.lost == {
        3: "no copy on a shard", 4: "other data on a shard", 5: "missing at the front door",
    }  # fmt: skip
    assert check.copies == {0: 2, 1: 2, 2: 1}


def test_every_drill_is_held_to_its_own_promises_to_everybodys_and_to_what_it_looked_at():
    seen = Finding("The pid changed", held=False)
    findings = invariants.judge(evidence(GOOD, checks=[seen]), [invariants.no_ask_fails])
    sentences = [finding.sentence for finding in findings]
    assert sentences[0] == "Every request to / is answered"
    assert "No acknowledged write is lost" in sentences
    assert findings[-1] is seen
