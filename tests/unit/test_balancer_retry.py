"""When a request is sent a second time, and how many are: without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.budget import WINDOW_SECONDS, RetryBudget
from balancer.retry import KEYED_METHODS, SAFE_METHODS, Attempts, is_repeatable, may_retry

METHODS = [b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PATCH", b"DELETE", b"PURGE"]


def head(method: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([method + b" / HTTP/1.1", b"Host: door", *fields, b"Via: 1.1 b", b""])


@given(
    failure=st.sampled_from(["connect", "stale", "reset", "timeout", "protocol", "status"]),
    retries=st.integers(0, 3),
    free=st.integers(0, 3),
    repeatable=st.booleans(),
    replayable=st.booleans(),
    forbidden=st.booleans(),
)
def test_a_request_is_repeated_only_when_that_is_safe(
    failure, retries, free, repeatable, replayable, forbidden
):
    attempts = Attempts(retries, free)
    if may_retry(
        failure,
        attempts=attempts,
        repeatable=repeatable,
        replayable=replayable,
        forbidden=forbidden,
    ):
        assert replayable
        assert not forbidden
        assert repeatable or failure == "connect"
        assert retries == 0 or (failure == "stale" and free == 0)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_key_only_safe_methods_are_repeatable(method: bytes):
    assert is_repeatable(method, head(method)) == (method in SAFE_METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("field", [b"Idempotency-Key: 7", b"idempotency-KEY:\t 7"])
def test_a_key_makes_put_delete_and_post_repeatable(method: bytes, field: bytes):
    repeatable = is_repeatable(method, head(method, field))
    assert repeatable == (method in SAFE_METHODS | KEYED_METHODS)


@pytest.mark.parametrize(
    "field",
    [
        b"Idempotency-Key: ",
        b"Idempotency-Key:",
        b"X-Idempotency-Key: 7",
        b"Note: idempotency-key: 7",
    ],
)
def test_what_only_looks_like_a_key_is_none(field: bytes):
    assert not is_repeatable(b"POST", head(b"POST", field))


def test_a_quiet_service_may_retry_all_the_same():
    budget = RetryBudget(ratio=0.2, floor=3.0)
    budget.request()
    assert sum(budget.take(10.0) for _ in range(100)) == 30


def test_a_budget_of_nothing_allows_nothing():
    budget = RetryBudget(ratio=0.0, floor=0.0)
    budget.request()
    assert not budget.take(1.0)
    assert budget.left() == 0


def test_what_was_spent_comes_back_after_ten_seconds():
    budget = RetryBudget(ratio=0.0, floor=1.0)
    assert sum(budget.take(10.0) for _ in range(20)) == 10
    for tenth in range(100, 220):
        budget.advance(tenth / 10)
    assert sum(budget.take(22.0) for _ in range(20)) == 10


@given(
    steps=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), max_size=60),
    ratio=st.floats(0, 1),
    floor=st.floats(0, 5),
)
def test_when_everything_fails_retries_stay_a_share_of_the_requests(steps, ratio, floor):
    budget, now, requests, retries = RetryBudget(ratio, floor), 50.0, 0, 0
    for pause, burst in steps:
        for _ in range(int(pause * 10)):  # the coarse timer
            now += 0.1
            budget.advance(now)
        for _ in range(burst):
            budget.request()
            requests += 1
            retries += budget.take(now)
    # A window is a tenth of itself exact, and the first one is there from the beginning.
    windows = 1 + (now - 50.0) / (0.9 * WINDOW_SECONDS)
    assert retries <= ratio * requests * 1.3 + floor * WINDOW_SECONDS * windows + 1e-6
