"""Ids: unique whatever the clock does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import ids

STAMPS = st.integers(0, ids.MAX_STAMP)
NODES = st.integers(0, ids.NODES - 1)
CLOCKS = st.lists(st.integers(ids.EPOCH_MS - 10**9, ids.EPOCH_MS + 2**40), min_size=1, max_size=80)


@given(clock=CLOCKS, nodes=st.lists(NODES, min_size=1, max_size=4, unique=True))
def test_no_id_is_given_twice_however_the_clock_jumps(clock: list[int], nodes: list[int]) -> None:
    given_out = []
    for node in nodes:
        last = 0
        for now_ms in clock:
            last = ids.next_stamp(last, now_ms)
            given_out.append(ids.compose(last, node))
    assert len(set(given_out)) == len(given_out)


@given(clock=CLOCKS, node=NODES)
def test_the_ids_of_a_node_only_grow(clock: list[int], node: int) -> None:
    last, previous = 0, -1
    for now_ms in clock:
        last = ids.next_stamp(last, now_ms)
        current = ids.compose(last, node)
        assert current > previous
        previous = current


@given(one=st.tuples(STAMPS, NODES), other=st.tuples(STAMPS, NODES))
def test_stamp_and_node_decide_the_id(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (ids.compose(*one) == ids.compose(*other)) == (one == other)


@given(stamp=STAMPS, node=NODES)
def test_an_id_survives_json_in_javascript(stamp: int, node: int) -> None:
    record_id = ids.compose(stamp, node)
    assert 0 <= record_id <= 2**53 - 1
    assert int(float(record_id)) == record_id  # every number is a double there
    assert json.loads(json.dumps(record_id)) == record_id


def test_the_33rd_id_of_a_millisecond_runs_ahead_of_the_clock() -> None:
    now_ms = ids.EPOCH_MS + 1000
    last = 0
    for _ in range(33):
        last = ids.next_stamp(last, now_ms)
    assert last >> ids.SEQUENCE_BITS == 1001


def test_the_id_tells_the_millisecond_and_the_node() -> None:
    record_id = ids.compose(ids.next_stamp(0, ids.EPOCH_MS + 123_456), 77)
    assert record_id >> 12 == 123_456
    assert record_id >> 5 & 127 == 77


def test_ids_that_would_not_fit_are_refused_and_never_wrapped_around() -> None:
    end_ms = ids.EPOCH_MS + 2**41
    assert ids.next_stamp(0, end_ms - 1) <= ids.MAX_STAMP
    with pytest.raises(ids.OutOfIdsError):
        ids.next_stamp(0, end_ms)
    with pytest.raises(ids.OutOfIdsError):
        ids.next_stamp(ids.MAX_STAMP, ids.EPOCH_MS)


@given(st.integers(0, ids.MAX_ID))
def test_every_id_can_be_read_from_a_url(record_id: int) -> None:
    assert ids.parse(str(record_id)) == record_id


@given(st.text(max_size=30))
def test_any_other_text_is_no_id(text: str) -> None:
    try:
        number = ids.parse(text)
    except ids.NotAnIdError as error:
        assert "9007199254740991" in str(error)
    else:
        assert text.isascii()
        assert text.isdigit()
        assert 0 <= number <= ids.MAX_ID


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1_0", " 1", "1 ", "1\n", "1.0", "1e3", "0x10", "abc", "١٢", "９", "²",
     str(2**53), "9" * 400],
)  # fmt: skip
def test_what_int_would_be_lenient_about_is_refused(text: str) -> None:
    with pytest.raises(ids.NotAnIdError):
        ids.parse(text)
