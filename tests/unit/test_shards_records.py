"""Ids that are not ids, values that are too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.records import MAX_ID, check_id, check_value, key_of

NOT_IDS = [-1, MAX_ID + 1, 2**64, True, False, None, 1.0, "1", b"1", "d:1", float("nan")]


@pytest.mark.parametrize("wrong", NOT_IDS, ids=repr)
def test_what_is_not_an_id_is_refused_by_name(wrong):
    with pytest.raises(
        ValueError, match=r"record id .*: must be an integer from 0 to 9007199254740991"
    ):
        check_id(wrong)


@given(st.integers(0, MAX_ID))
def test_every_integer_that_survives_javascript_is_an_id(record_id: int):
    check_id(record_id)
    assert key_of(record_id) == f"d:{{{record_id}}}".encode()


def test_a_value_over_the_limit_is_refused_with_both_sizes():
    check_value(b"x" * 100, 100)
    with pytest.raises(ValueError, match="value of 101 bytes: at most 100 are allowed"):
        check_value(b"x" * 101, 100)


def test_a_value_that_is_not_bytes_is_refused():
    with pytest.raises(TypeError, match="must be bytes, not str"):
        check_value("text", 100)  # type: ignore[arg-type]
