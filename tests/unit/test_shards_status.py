"""What INFO says, and what is made of an INFO that says little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.settings import ShardAddress
from shards.status import down, from_info

ADDRESS = ShardAddress("redis1", "127.0.0.1", 6379)


def test_a_shard_that_does_not_answer_is_down_with_its_reason_and_no_figures():
    status = down(ADDRESS, "refused")
    assert (status.state, status.reason, status.records, status.aof_enabled) == (
        "down", "refused", None, None,
    )  # fmt: skip


def test_a_loading_shard_is_not_up():
    status = from_info(ADDRESS, b"# Persistence\r\nloading:1\r\naof_enabled:1\r\n")
    assert (status.state, status.reason) == ("loading", "loads its data from disk")


def test_the_figures_are_read():
    status = from_info(
        ADDRESS,
        b"# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\nmaxmemory:2000\r\n"
        b"maxmemory_policy:noeviction\r\n\r\n# Persistence\r\nloading:0\r\naof_enabled:0\r\n\r\n"
        b"# Keyspace\r\ndb0:keys=12,expires=12,avg_ttl=5\r\ndb1:keys=7,expires=0,avg_ttl=0\r\n",
    )
    assert (status.state, status.reason, status.records) == ("up", None, 12)
    assert (status.memory_used_bytes, status.memory_max_bytes) == (1000, 2000)
    assert (status.memory_policy, status.aof_enabled) == ("noeviction", False)
    assert (status.name, status.address) == ("redis1", "127.0.0.1:6379")


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (b"used_memory:2001\r\nmaxmemory:2000\r\n", "full: takes no writes"),
        (b"used_memory:2001\r\nmaxmemory:2000\r\nmem_not_counted_for_evict:2\r\n", None),
        (b"used_memory:2001\r\nmaxmemory:0\r\n", None),
        (b"role:slave\r\nslave_read_only:1\r\n", "a replica: takes no writes"),
        (b"role:slave\r\nslave_read_only:0\r\n", None),
        (b"aof_last_write_status:err\r\n", "cannot write its disk: takes no writes"),
        (b"aof_last_write_status:ok\r\n", None),
    ],
)
def test_a_shard_that_takes_no_writes_is_up_and_says_why_not(info: bytes, reason: str | None):
    status = from_info(ADDRESS, info)
    assert (status.state, status.reason, status.takes_writes) == ("up", reason, reason is None)


def test_an_empty_database_has_no_line_and_holds_no_record():
    assert from_info(ADDRESS, b"loading:0\r\n").records == 0


@given(st.binary() | st.from_regex(rb"(loading|db0|used_memory|aof_enabled):[^\r]*\r\n"))
def test_no_reply_at_all_brings_an_exception(reply: bytes):
    assert from_info(ADDRESS, reply).state in ("up", "loading")
