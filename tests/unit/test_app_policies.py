"""Deadline, back-off, retry and Retry-After: pure decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.resilience import (
    ATTEMPT_FLOOR,
    VERDICTS,
    AttemptError,
    Deadline,
    FallbackReason,
    FullJitter,
    Outcome,
    Result,
    RetryPolicy,
    Verdict,
    parse_remainder,
    parse_retry_after,
)

UNIT = st.floats(0, 1, exclude_max=True)
FAILURE = AttemptError(Outcome.TIMEOUT, "no answer in time")


@given(value=st.text(max_size=20))
def test_nonsense_in_the_timeout_field_counts_as_absent(value: str) -> None:
    seconds = parse_remainder(value)
    if value.isascii() and value.isdigit() and len(value) < 10:
        assert seconds == int(value) / 1000
    else:
        assert seconds is None


@pytest.mark.parametrize("value", ["-1", "+1", "1_0", "1.5", "1e3", " 1", "١", "1\n", "", "NaN"])
def test_a_timeout_field_is_digits_only(value: str) -> None:
    assert parse_remainder(value) is None


@given(own=st.floats(0.02, 60), left=st.none() | st.floats(0, 60), start=st.floats(0, 1e6), at=UNIT)
def test_a_deadline_is_the_lesser_of_both_limits_and_only_shrinks(
    own: float, left: float | None, start: float, at: float
) -> None:
    deadline = Deadline.after(own, left, start)
    limit = own if left is None else min(own, left)
    assert deadline.remaining(start) == pytest.approx(limit, abs=1e-6)
    assert 0 <= deadline.remaining(start + at) <= deadline.remaining(start)
    assert deadline.remaining(start + limit + 1) == 0


def test_an_attempt_that_could_come_to_nothing_is_not_allowed() -> None:
    deadline = Deadline.after(1.0, None, 0.0)
    assert deadline.allows(0.9)
    assert not deadline.allows(1.0 - ATTEMPT_FLOOR / 2)
    assert not deadline.allows(0.5, wait=0.5)


@given(retry=st.integers(0, 10_000), dice=UNIT)
def test_a_wait_is_below_the_cap_and_below_the_exponential(retry: int, dice: float) -> None:
    wait = FullJitter().seconds(retry, lambda: dice)
    assert 0 <= wait <= 0.25
    if retry < 10:
        assert wait <= 0.025 * 2**retry


def test_the_upper_ends_of_the_waits_double_up_to_the_cap() -> None:
    ends = [FullJitter().seconds(retry, lambda: 1.0) for retry in range(6)]
    assert ends == [0.025, 0.05, 0.1, 0.2, 0.25, 0.25]


@given(retry_after=st.none() | st.floats(0, 100), attempts=st.integers(1, 20), dice=UNIT)
def test_retry_after_is_a_lower_bound_of_the_wait(
    retry_after: float | None, attempts: int, dice: float
) -> None:
    failure = AttemptError(Outcome.HTTP_ERROR, "503", retry_after=retry_after)
    assert RetryPolicy().wait(failure, attempts, lambda: dice) >= (retry_after or 0.0)


@given(
    retries=st.integers(0, 10),
    attempts=st.integers(1, 20),
    wait=st.floats(0, 5),
    at=st.floats(0, 5),
    retryable=st.booleans(),
)
def test_there_is_another_attempt_only_when_nothing_speaks_against_it(
    retries: int, attempts: int, wait: float, at: float, retryable: bool
) -> None:
    failure = AttemptError(Outcome.HTTP_ERROR, "", retryable=retryable)
    deadline = Deadline(2.0)
    reason = RetryPolicy(retries).give_up(failure, attempts, wait, deadline, at)
    if not retryable:
        assert reason is FallbackReason.NOT_RETRYABLE
    elif attempts >= retries:
        assert reason is FallbackReason.RETRIES_EXHAUSTED
    elif at + wait > 2.0:
        assert reason is FallbackReason.DEADLINE
    elif at + wait < 2.0 - ATTEMPT_FLOOR - 1e-6:
        assert reason is None


NOW = 1_780_000_000.0  # 2026-05-28T20:26:40Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Thu, 28 May 2026 20:26:50 GMT", 10.0),
        ("Thu, 28 May 2026 20:26:50 -0000", 10.0),
        ("Thu, 28 May 2026 20:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_field_can_break_the_call(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


def test_every_outcome_has_a_verdict_and_a_client_that_left_is_no_failure() -> None:
    assert set(VERDICTS) == set(Outcome)
    assert VERDICTS[Outcome.CANCELLED] is Verdict.IGNORED
    assert {result.verdict for result in Result} == set(Verdict)


@pytest.mark.parametrize(
    ("error", "outcome", "retryable"),
    [
        (TimeoutError(), Outcome.TIMEOUT, True),
        (ConnectionRefusedError(111, "refused"), Outcome.CONNECT_ERROR, True),
        (ConnectionResetError(), Outcome.CONNECT_ERROR, True),
        (ValueError("x"), Outcome.BAD_ANSWER, False),
    ],
)
def test_foreign_errors_get_our_words(error: Exception, outcome: Outcome, retryable: bool) -> None:
    failure = AttemptError.of(error)
    assert (failure.outcome, failure.retryable) == (outcome, retryable)
    assert str(failure)


def test_an_attempts_own_error_is_kept_as_it_is() -> None:
    assert AttemptError.of(FAILURE) is FAILURE
