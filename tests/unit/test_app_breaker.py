"""The breaker, held to a model whatever happens in whatever order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.resilience import Board, BreakerPolicy, BreakerState, Permit, Phase, Verdict

POLICY = BreakerPolicy()


def half() -> float:
    return 0.5


class Box:
    """Breaker and counts of one box, as the guard uses them."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.policy = policy
        self.state = BreakerState()
        self.now = 1000.0
        self.results: list[tuple[float, Verdict]] = []

    def admit(self) -> Permit | None:
        self.state, permit = self.policy.admit(self.state, self.now, half)
        return permit

    def end(self, permit: Permit, verdict: Verdict) -> None:
        if permit.probe < 0 and permit.epoch == self.state.epoch:
            self.results.append((self.now, verdict))
        self.state = self.policy.ended(self.state, permit, verdict, self.counted, self.now, half)

    def counted(self, since: float) -> tuple[float, float]:
        start = max(since, self.now - self.policy.window)
        kept = [verdict for at, verdict in self.results if at >= start]
        return kept.count(Verdict.SUCCESS), kept.count(Verdict.FAILURE)

    def call(self, verdict: Verdict) -> bool:
        """Whether it was admitted."""
        permit = self.admit()
        if permit is not None:
            self.end(permit, verdict)
        return permit is not None


def opened() -> Box:
    box = Box()
    for _ in range(20):
        assert box.call(Verdict.FAILURE)
    assert box.state.phase is Phase.OPEN
    return box


def test_twenty_failures_in_a_row_open_it_and_nineteen_do_not() -> None:
    box = Box()
    for _ in range(19):
        box.call(Verdict.FAILURE)
    assert box.state.phase is Phase.CLOSED
    box.call(Verdict.SUCCESS)
    assert box.state.streak == 0
    assert opened().state.openings == 1


def test_half_of_twenty_open_it() -> None:
    box = Box()
    for number in range(19):
        box.now += 0.1
        box.call(Verdict.SUCCESS if number % 2 else Verdict.FAILURE)
    assert box.state.phase is Phase.CLOSED
    box.call(Verdict.FAILURE)
    assert box.state.openings == 1


def test_clients_that_went_away_open_nothing() -> None:
    box = Box()
    for _ in range(1000):
        assert box.call(Verdict.IGNORED)
    assert box.state.phase is Phase.CLOSED


def test_each_opening_lasts_longer_up_to_the_cap_so_that_a_start_is_seen_within_two_seconds() -> (
    None
):
    box = opened()
    lasts = []
    for _ in range(6):
        lasts.append(box.state.until - box.now)
        box.now = box.state.until
        assert box.call(Verdict.FAILURE)
    assert lasts == pytest.approx([0.4375] + [0.65625] * 5)
    longest = BreakerPolicy().open_cap
    assert longest <= 1.0


def test_an_outage_of_a_minute_sees_at_most_two_probes_a_second_whatever_the_load() -> None:
    box = opened()
    asked: list[float] = []
    for _ in range(60_000):
        box.now += 0.001
        if box.call(Verdict.FAILURE):
            asked.append(box.now)
    assert len(asked) <= 100
    for start in range(60):
        second = 1000.02 + start
        assert sum(second <= at < second + 1 for at in asked) <= 2


def test_after_a_probe_that_hung_the_next_may_follow_at_once() -> None:
    box = opened()
    box.now = box.state.until
    probe = box.admit()
    assert probe is not None
    box.now += POLICY.probe_timeout
    box.end(probe, Verdict.FAILURE)
    assert box.admit() is not None
    assert box.admit() is None


def test_the_first_probe_goes_alone_and_its_success_lets_two_more_go() -> None:
    box = opened()
    box.now = box.state.until
    first = box.admit()
    assert first is not None
    assert box.admit() is None
    box.end(first, Verdict.SUCCESS)
    second, third = box.admit(), box.admit()
    assert second is not None
    assert third is not None
    assert box.admit() is None
    box.end(second, Verdict.FAILURE)
    assert box.state.successes == box.state.failures == 1
    box.end(third, Verdict.SUCCESS)
    assert box.state == BreakerState(Phase.RAMPING, epoch=2, since=box.now, openings=1)
    box.now += POLICY.ramp
    assert box.admit() is not None
    assert box.state.openings == 0


def test_ramping_lets_a_growing_share_through() -> None:
    box = Box()
    box.state = BreakerState(Phase.RAMPING, epoch=3, since=box.now)
    shares = []
    for after in (0.0, 0.3, 0.45):
        box.now = 1000.0 + after
        draws = iter([n / 100 for n in range(100)])
        dice = partial(next, draws)
        asked = [box.policy.admit(box.state, box.now, dice)[1] for _ in range(100)]
        shares.append(sum(permit is not None for permit in asked) / 100)
    assert shares == pytest.approx([0.5, 0.6, 0.9], abs=0.011)


def test_what_began_before_it_opened_cannot_open_it_again() -> None:
    box = Box()
    early = [box.admit() for _ in range(40)]
    for permit in early[:20]:
        assert permit is not None
        box.end(permit, Verdict.FAILURE)
    box.now = box.state.until
    for _ in range(2):
        assert box.call(Verdict.SUCCESS)
    box.now += POLICY.ramp
    box.admit()
    for permit in early[20:]:
        assert permit is not None
        box.end(permit, Verdict.FAILURE)
    assert box.state.phase is Phase.CLOSED
    assert box.state.streak == 0


def test_a_probe_whose_worker_died_blocks_for_no_longer_than_its_lease() -> None:
    box = opened()
    box.now = box.state.until
    assert box.admit() is not None
    box.now += POLICY.lease - 0.001
    assert box.admit() is None
    box.now += 0.002
    assert box.admit() is not None


def test_a_clock_that_began_anew_does_not_keep_it_open() -> None:
    box = opened()
    box.now = 5.0  # the machine was started again, the file is older
    assert box.admit() is not None
    box = opened()
    box.now = box.state.until
    box.admit()
    box.state = replace(box.state, leases=(9e9, 9e9, 9e9))
    assert box.admit() is not None


class Machine(RuleBasedStateMachine):
    """Calls begin, end, are cancelled, die; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.box = Box()
        self.board = Board()
        self.open: list[tuple[Permit, float]] = []
        self.dead: list[float] = []  # until when the leases of dead probes hold

    @rule()
    def begin(self) -> None:
        before = self.box.state.phase
        permit = self.box.admit()
        if before is Phase.CLOSED:
            assert permit is not None
        if permit is not None:
            self.open.append((permit, self.box.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def end(self, data: st.DataObject, verdict: Verdict) -> None:
        permit, _ = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.box.end(permit, verdict)

    @rule()
    def many_fail(self) -> None:
        for _ in range(20):
            self.box.call(Verdict.FAILURE)

    @precondition(lambda self: self.open)
    @rule()
    def a_worker_dies(self) -> None:
        permit, at = self.open.pop()
        if permit.probe >= 0:
            self.dead.append(at + POLICY.lease)

    @rule(seconds=st.floats(0.001, 5))
    def time_passes(self, seconds: float) -> None:
        self.box.now += seconds
        # A probe ends by its own time-out: its client is told, and the lease given back.
        late = [o for o in self.open if o[0].probe >= 0 and self.box.now - o[1] > 1.0]
        for permit, at in late:
            self.open.remove((permit, at))
            self.box.end(permit, Verdict.FAILURE)

    @invariant()
    def never_more_probes_than_three(self) -> None:
        epoch = self.box.state.epoch
        probing = [p for p, _ in self.open if p.probe >= 0 and p.epoch == epoch]
        if self.box.state.phase is Phase.HALF_OPEN:
            assert len(probing) <= (3 if self.box.state.successes else 1)

    @invariant()
    def never_stuck(self) -> None:
        """Left alone for a lease or an opening, it asks again, and two successes close it."""
        later = Box()
        later.state = self.box.state
        later.now = self.box.now + max(POLICY.open_cap, POLICY.lease) + 0.001
        for _ in range(2 if later.state.phase in (Phase.OPEN, Phase.HALF_OPEN) else 0):
            if later.state.phase in (Phase.OPEN, Phase.HALF_OPEN):
                assert later.call(Verdict.SUCCESS)
        later.now += POLICY.ramp + 0.001
        assert later.admit() is not None
        assert later.state.phase is Phase.CLOSED

    @invariant()
    def survives_shared_memory(self) -> None:
        board = self.board
        board.change(lambda _: (self.box.state, None), None)
        assert board.breaker() == self.box.state


Machine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # other programs use the machine too
)
TestBreaker = Machine.TestCase
