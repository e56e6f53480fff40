"""The guardian's policy: FATAL comes back, with back-off; STOPPED stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.guardian.revival import JITTER, Revival, RevivalSettings

SETTINGS = RevivalSettings(first_delay=5, longest_delay=60, steady_after=60)
STATES = ("STARTING", "RUNNING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def revival(clock: Clock, dice: float = 0.5) -> Revival:
    return Revival(SETTINGS, clock, lambda: dice)


def fail_once(policy: Revival, clock: Clock) -> float:
    """FATAL, the wait, and the start; the delay."""
    delay = policy.changed("app1", "FATAL")
    assert delay is not None
    clock.now += delay
    assert policy.take_due() == ["app1"]
    policy.changed("app1", "STARTING")
    return delay


def test_what_the_user_stopped_is_never_started():
    clock = Clock()
    policy = revival(clock)
    for state in ("RUNNING", "STOPPING", "STOPPED"):
        assert policy.changed("app1", state) is None
    clock.now += 1e9
    assert policy.take_due() == []
    assert policy.seconds_until_due() is None


def test_a_stop_while_a_start_is_planned_cancels_it():
    clock = Clock()
    policy = revival(clock)
    policy.changed("app1", "FATAL")
    policy.changed("app1", "STOPPED")
    clock.now += 1e9
    assert policy.take_due() == []


def test_a_start_by_somebody_else_cancels_the_planned_one():
    clock = Clock()
    policy = revival(clock)
    policy.changed("app1", "FATAL")
    policy.changed("app1", "STARTING")
    clock.now += 1e9
    assert policy.take_due() == []


def test_an_exit_is_supervisords_own_business():
    clock = Clock()
    policy = revival(clock)
    for state in ("EXITED", "BACKOFF", "STARTING", "UNKNOWN"):
        assert policy.changed("app1", state) is None
    assert policy.seconds_until_due() is None


def test_a_fatal_program_is_started_when_its_delay_is_over_and_not_before():
    clock = Clock()
    policy = revival(clock)
    assert policy.changed("app1", "FATAL") == pytest.approx(5)
    assert policy.seconds_until_due() == pytest.approx(5)
    clock.now += 4.9
    assert policy.take_due() == []
    clock.now += 0.2
    assert policy.seconds_until_due() == 0
    assert policy.take_due() == ["app1"]
    assert policy.take_due() == []


def test_delays_double_up_to_the_cap():
    clock = Clock()
    policy = revival(clock)
    delays = [fail_once(policy, clock) for _ in range(7)]
    assert delays == pytest.approx([5, 10, 20, 40, 60, 60, 60])


def test_after_running_well_the_delays_begin_anew():
    clock = Clock()
    policy = revival(clock)
    for _ in range(4):
        fail_once(policy, clock)
    policy.changed("app1", "RUNNING")
    clock.now += SETTINGS.steady_after
    policy.changed("app1", "EXITED")
    assert policy.changed("app1", "FATAL") == pytest.approx(5)


def test_running_for_a_moment_does_not_reset_the_delays():
    clock = Clock()
    policy = revival(clock)
    for _ in range(3):
        fail_once(policy, clock)
    policy.changed("app1", "RUNNING")
    clock.now += SETTINGS.steady_after - 1
    policy.changed("app1", "EXITED")
    assert policy.changed("app1", "FATAL") == pytest.approx(40)


def test_a_start_that_was_refused_is_tried_again_later_and_counts():
    clock = Clock()
    policy = revival(clock)
    fail_once(policy, clock)
    assert policy.failed("app1") == pytest.approx(10)
    clock.now += 10
    assert policy.take_due() == ["app1"]


def test_programs_have_delays_of_their_own():
    clock = Clock()
    policy = revival(clock)
    fail_once(policy, clock)
    fail_once(policy, clock)
    assert policy.changed("app2", "FATAL") == pytest.approx(5)


def test_a_hundred_years_of_failing_do_not_overflow():
    clock = Clock()
    policy = revival(clock)
    for _ in range(5000):
        assert fail_once(policy, clock) <= 60 * (1 + JITTER)


@given(dice=st.floats(0, 1, exclude_max=True), failures=st.integers(1, 40))
def test_every_delay_is_within_the_jitter_of_the_formula(dice: float, failures: int):
    clock = Clock()
    policy = revival(clock, dice)
    for tries in range(failures):
        delay = fail_once(policy, clock)
        plain = min(60.0, 5.0 * 2**tries)
        assert plain * (1 - JITTER) <= delay <= plain * (1 + JITTER)


@given(
    history=st.lists(st.tuples(st.sampled_from(STATES), st.floats(0, 300)), max_size=60),
)
def test_whatever_happened_before_a_start_is_due_exactly_when_fatal_was_the_last_news(
    history: list[tuple[str, float]],
):
    clock = Clock()
    policy = revival(clock)
    last = ""
    for state, pause in history:
        policy.changed("app1", state)
        last = state
        if policy.seconds_until_due() is not None:
            assert state == "FATAL"
        clock.now += pause
    clock.now += 1000
    assert policy.take_due() == (["app1"] if last == "FATAL" else [])
