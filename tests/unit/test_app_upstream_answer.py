"""What an answer of the external service is worth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.resilience import AttemptError, Outcome
from app.settings import BODY_LIMIT, RECORD_LIMIT
from app.upstream_answer import check_status, parse_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=200))
def test_no_body_can_raise_anything_but_a_failed_attempt(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body), dict)
    except AttemptError as error:
        assert error.outcome is Outcome.BAD_ANSWER
        assert error.retryable


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_every_json_object_is_taken_as_it_is(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'"text"',
        b"[]",
        b"{}{}",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":[-1e999]}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 30_000,
    ],
)
def test_what_is_no_json_object_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(AttemptError) as caught:
        parse_object(body)
    assert caught.value.outcome is Outcome.BAD_ANSWER


@pytest.mark.parametrize("piece", ["1e15", "-1e15", '"é"', '"😀"', "1E-7", "0.1", "null"])
def test_an_answer_within_the_limit_makes_a_record_within_its_limit(piece: str) -> None:
    """Written again, JSON grows: the record's limit must have room for the worst of it."""
    count = (BODY_LIMIT - 8) // (len(piece.encode()) + 1)
    data = parse_object(('{"a":[' + ",".join([piece] * count) + "]}").encode())
    again = json.dumps({"data": data, "source": "fallback"}, separators=(",", ":"))
    assert len(again.encode()) <= RECORD_LIMIT


@given(st.integers(100, 599))
def test_only_a_success_passes_and_only_a_server_error_is_tried_again(status: int) -> None:
    if 200 <= status <= 299:
        check_status(status, None)
        return
    with pytest.raises(AttemptError) as caught:
        check_status(status, 2.0)
    assert caught.value.outcome is Outcome.HTTP_ERROR
    assert caught.value.retry_after == 2.0
    assert caught.value.retryable == (status >= 500 and status != 501)
    assert str(status) in str(caught.value)
