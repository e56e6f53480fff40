"""Settings are checked before anything connects, in one line that says what is allowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.settings import ShardAddress, StoreSettings, parse_url, split_urls

ONE = ("redis://127.0.0.1:6379",)
TWO = ("redis://127.0.0.1:6379", "redis://127.0.0.1:6380")


@pytest.mark.parametrize(
    "url",
    [
        "", "redis://", "redis:", "127.0.0.1:6379", "http://127.0.0.1:6379", "redis//127.0.0.1",
        "redis://:6379", "redis://127.0.0.1:0", "redis://127.0.0.1:65536", "redis://127.0.0.1:-1",
        "redis://127.0.0.1:port", "redis://[::1", "redis://::1]:6379", "redis://127.0.0.1:6379/1",
        "redis://127.0.0.1:6379/records", "redis://127.0.0.1:6379?socket_timeout=60",
        "redis://127.0.0.1:6379#a/b", "redis://127.0.0.1:6379#" + "x" * 33,
        "redis://127.0.0.1 :6379", "redis://127.0.0.1:6379\n", "rediss://127.0.0.1:6379",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_named_with_what_is_allowed(url: str):
    with pytest.raises(ValueError, match="store URL") as caught:
        StoreSettings((url,))
    assert repr(url) in str(caught.value)
    assert "allowed is redis://[user:password@]host[:port][?leaving][#name]" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.text() | st.text().map("redis://{}".format) | st.from_regex(r"redis://[^/]*[:@#?\[][^ ]*")
)
def test_no_text_at_all_brings_anything_but_an_address_or_a_value_error(url: str):
    try:
        address = parse_url(url, 1)
    except ValueError:
        return
    assert address.host
    assert 1 <= address.port <= 65535
    assert address.name


def test_a_password_is_never_shown():
    with pytest.raises(ValueError, match="store URL") as caught:
        StoreSettings(("redis://user:s3c@ret@127.0.0.1:6379/7",))
    assert "redis://user:***@127.0.0.1:6379/7" in str(caught.value)
    settings = StoreSettings(("redis://user:s3cret@127.0.0.1:6379",))
    assert settings.addresses[0].password == "s3cret"
    assert "s3cret" not in repr(settings) + repr(settings.addresses) + str(settings.addresses[0])


@pytest.mark.parametrize("urls", [(), split_urls(""), split_urls("  ")])
def test_at_least_one_shard_is_needed(urls: tuple[str, ...]):
    with pytest.raises(ValueError, match="at least one shard is needed; allowed is redis://"):
        StoreSettings(urls)


def test_an_empty_place_in_the_list_is_a_mistake_not_a_shard():
    assert split_urls(" redis://a:1 ,redis://b:2 ") == ("redis://a:1", "redis://b:2")
    with pytest.raises(ValueError, match="store URL ''"):
        StoreSettings(split_urls("redis://a:1,,redis://b:2"))


@pytest.mark.parametrize(
    "twin",
    ["redis://127.0.0.1:6379", "redis://127.0.0.1", "redis://localhost:6379/0",
     "redis://u:p@127.0.0.1:6379/", "redis://127.0.0.1:6379#other"],
)  # fmt: skip
def test_the_same_server_twice_is_refused(twin: str):
    with pytest.raises(ValueError, match=r"are the same server, (127.0.0.1|localhost):6379"):
        StoreSettings((*ONE, twin))


def test_two_shards_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two shards are named 'redis2'"):
        StoreSettings(("redis://a:1#redis2", "redis://b:1"))


def test_a_shard_is_known_by_its_position_so_that_ports_may_move():
    moved = ("redis://127.0.0.1:7001", "redis://127.0.0.1:7002")
    assert [a.name for a in StoreSettings(TWO).addresses] == ["redis1", "redis2"]
    assert [a.name for a in StoreSettings(moved).addresses] == ["redis1", "redis2"]


def test_or_by_the_name_it_is_given_so_that_the_order_is_free():
    ordered = StoreSettings(("redis://h:1#a", "redis://h:2#b")).addresses
    turned = StoreSettings(("redis://h:2#b", "redis://h:1#a")).addresses
    assert set(ordered) == set(turned)


def test_everything_of_a_url_is_read():
    assert parse_url("redis://me:p%40ss@[::1]:7000/0#east-1", 3) == ShardAddress(
        name="east-1", host="::1", port=7000, username="me", password="p@ss"
    )
    assert str(parse_url("redis://[::1]:7000", 1)) == "[::1]:7000"
    assert str(parse_url("redis://redis.example", 1)) == "redis.example:6379"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("copies", 3, r"more than there are shards \(2\)"),
        ("copies", 0, "must be at least 1"),
        ("ttl_seconds", -1.0, "must be 0 .* or from 0.001"),
        ("ttl_seconds", 0.0001, "must be 0 .* or from 0.001"),
        ("ttl_seconds", float("nan"), "must be 0 .* or from 0.001"),
        ("ttl_seconds", float("inf"), "must be 0 .* or from 0.001"),
        ("connect_timeout_seconds", 0.0, "must be from 0.001 to 60"),
        ("connect_timeout_seconds", -0.1, "must be from 0.001 to 60"),
        ("operation_timeout_seconds", 0.0, "must be from 0.001 to 60"),
        ("operation_timeout_seconds", float("nan"), "must be from 0.001 to 60"),
        ("hedge_seconds", 0.0, "must be from 0.001 to 60"),
        ("heal_records_per_second", 0.0, "must be from 1 to 1000000"),
        ("value_limit_bytes", 0, "must be 1 to 16777216"),
    ],
)
def test_a_number_out_of_range_is_named_with_what_is_allowed(name: str, value: float, allowed: str):
    with pytest.raises(ValueError, match=f"^{name} {value}: {allowed}"):
        StoreSettings(TWO, **{name: value})  # type: ignore[arg-type]


def test_the_defaults_are_those_of_the_design():
    settings = StoreSettings(TWO)
    assert (settings.ttl_seconds, settings.value_limit_bytes) == (86400, 65536)
    assert settings.copies_kept == 2
    assert StoreSettings(ONE).copies_kept == 1
    assert settings.hedge_seconds == 0.02
    assert settings.connect_timeout_seconds == 0.1
    assert settings.operation_timeout_seconds == 0.25


def test_one_shard_must_stay_and_copies_are_counted_on_those_that_do():
    with pytest.raises(ValueError, match="every shard is leaving; one must stay"):
        StoreSettings((ONE[0] + "?leaving",))
    with pytest.raises(ValueError, match=r"copies 2: more than there are shards \(1, not counting"):
        StoreSettings((TWO[0], TWO[1] + "?leaving"), copies=2)
