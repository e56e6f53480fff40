"""Which node has which slots, read from what the nodes of a Redis Cluster say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.slot_map import SlotMap, redirect_in

ASKED = ("10.0.0.9", 7000)
REPLICA = [b"10.0.0.2", 6380, b"id"]

ports = st.integers(1, 65535)
anything = st.recursive(
    st.none() | st.integers() | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def test_ranges_are_taken_as_they_are_told_and_an_empty_host_is_the_one_asked():
    slots = SlotMap()
    slots.learn(
        [[0, 99, [b"a", 1, b"id"], REPLICA], [100, 100, [b"", 2]], [102, 16383, [None, 3]]], ASKED
    )
    assert [slots.master_of(slot) for slot in (0, 99, 100, 101, 102, 16383)] == [
        ("a", 1), ("a", 1), (ASKED[0], 2), None, (ASKED[0], 3), (ASKED[0], 3),
    ]  # fmt: skip
    assert slots.masters() == [("a", 1), (ASKED[0], 2), (ASKED[0], 3)]
    assert not slots.complete
    slots.move(101, ("b", 4))
    assert slots.complete


@pytest.mark.parametrize(
    "reply",
    [
        None, [], b"OK", [b"x"], [[]], [[0, 1]], [[0, 16384, [b"a", 1]]], [[-1, 3, [b"a", 1]]],
        [[5, 3, [b"a", 1]]], [[0, 3, [b"a", 0]]], [[0, 3, [b"a", 65536]]], [[0, 3, [b"a", b"1"]]],
    ],
)  # fmt: skip
def test_what_is_no_map_is_refused_and_the_old_one_stays(reply: object):
    slots = SlotMap()
    slots.learn([[0, 16383, [b"a", 1]]], ASKED)
    with pytest.raises(ValueError, match="slots"):
        slots.learn(reply, ASKED)
    assert slots.masters() == [("a", 1)]


@given(anything)
def test_nothing_a_server_says_breaks_it_otherwise(reply: object):
    slots = SlotMap()
    try:
        slots.learn(reply, ASKED)
    except ValueError:
        assert slots.masters() == []


@given(st.integers(0, 16383), ports, st.booleans())
def test_a_redirect_says_where_and_for_how_long(slot: int, port: int, once: bool):
    kind = "ASK" if once else "MOVED"
    redirect = redirect_in(f"{kind} {slot} 10.0.0.3:{port}", ASKED)
    assert redirect is not None
    assert (redirect.slot, redirect.address) == (slot, ("10.0.0.3", port))
    assert redirect.only_once == once


def test_a_redirect_to_an_ipv6_address_or_to_another_port_of_the_same_host():
    assert redirect_in("MOVED 1 ::1:6379", ASKED).address == ("::1", 6379)  # type: ignore[union-attr]
    assert redirect_in("MOVED 1 :6379", ASKED).address == (ASKED[0], 6379)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "reason",
    [
        "MOVED", "MOVED 1", "MOVED 1 a", "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 a:0",
        "ASK 1 a:65536", "MOVED ² a:1", "OOM command not allowed", "",
    ],
)  # fmt: skip
def test_any_other_error_is_none(reason: str):
    assert redirect_in(reason, ASKED) is None
