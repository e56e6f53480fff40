"""What it takes to be certain that no record lies where another map put it."""

from hypothesis import given
from hypothesis import strategies as st

from shards import StoreSettings
from shards.maps import UNKNOWN, UNSURE, ShardMap, certain, needs_rebalance, parse_map, strangers

TWO = ShardMap(2, ("redis1", "redis2"))
THREE = ShardMap(2, ("redis1", "redis2", "redis3"))
URL = "redis://127.0.0.1"


def test_only_a_shard_that_names_one_map_and_nothing_else_is_believed():
    mine = {bytes(THREE)}
    assert certain(THREE, [mine, mine])
    for doubt in (set(), {bytes(TWO)}, mine | {bytes(TWO)}, mine | {UNSURE}, mine | {UNKNOWN}):
        assert not certain(THREE, [mine, doubt])


def test_more_copies_are_another_map():
    assert not certain(ShardMap(1, TWO.names), [{bytes(TWO)}])


def test_whoever_may_hold_records_and_is_not_known_is_named():
    told = [{UNSURE, bytes(TWO)}, {bytes(THREE), UNKNOWN}]
    assert strangers(TWO.names, told) == ["redis3"]
    assert strangers(THREE.names, told) == []


def test_a_new_shard_alone_is_no_reason_to_rebalance():
    assert not needs_rebalance(THREE, {UNSURE, bytes(THREE)})
    assert needs_rebalance(THREE, {bytes(TWO), bytes(THREE)})
    assert needs_rebalance(THREE, {bytes(THREE), UNKNOWN})


@given(st.binary())
def test_no_text_at_all_is_taken_for_a_map_that_it_is_not(text: bytes):
    found = parse_map(text)
    assert found is None or (len(found.names) > 0)


def test_a_map_is_read_as_it_is_written():
    assert parse_map(bytes(THREE)) == THREE
    assert str(THREE) == "redis1, redis2, redis3 (2 copies)"


def test_the_order_of_the_shards_makes_no_other_map_and_what_leaves_is_not_in_it():
    settings = StoreSettings((f"{URL}:1#b", f"{URL}:2#a", f"{URL}:3?leaving#c"))
    assert settings.map == ShardMap(2, ("a", "b"))
    assert [address.leaving for address in settings.addresses] == [False, False, True]


def test_one_shard_that_stays_keeps_one_copy():
    assert StoreSettings((f"{URL}:1", f"{URL}:2?leaving")).map == ShardMap(1, ("redis1",))
