"""What is known of a shard, read from the reply to INFO. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .settings import ShardAddress


@dataclass(frozen=True)
class ShardStatus:
    """One shard as its server reports it; None where nothing is known."""

    name: str
    address: str
    state: Literal["up", "loading", "down"]
    records: int | None = None
    memory_used_bytes: int | None = None
    memory_max_bytes: int | None = None  # 0: no limit
    memory_policy: str | None = None  # anything but noeviction may lose records silently
    aof_enabled: bool | None = None
    takes_writes: bool | None = None  # False: full, read-only, or it cannot write its disk
    reason: str | None = None  # why it is not up, or takes no writes
    hints: int = 0  # records it lacks that others keep for it
    scan_done: int | None = None  # records looked at, while everything is copied to it
    scan_total: int | None = None
    rebalance: bool = False  # records may lie where another list of shards put them


def down(address: ShardAddress, reason: str) -> ShardStatus:
    """The status of a shard that did not answer."""
    return ShardStatus(address.name, str(address), "down", reason=reason)


def from_info(address: ShardAddress, reply: bytes) -> ShardStatus:
    """The status told by an INFO reply; what it lacks is None."""
    fields = _fields(reply)
    loading = fields.get("loading") == "1"
    reason = "loads its data from disk" if loading else _why_no_writes(fields)
    return ShardStatus(
        name=address.name,
        address=str(address),
        state="loading" if loading else "up",
        # INFO leaves an empty database out.
        records=_number(_keyspace(fields.get("db0", "keys=0")).get("keys")),
        memory_used_bytes=_number(fields.get("used_memory")),
        memory_max_bytes=_number(fields.get("maxmemory")),
        memory_policy=fields.get("maxmemory_policy"),
        aof_enabled={"0": False, "1": True}.get(fields.get("aof_enabled", "")),
        takes_writes=reason is None,
        reason=reason,
    )


def _why_no_writes(fields: dict[str, str]) -> str | None:
    """None: it takes them. What the server itself looks at before it refuses a write."""
    most = _number(fields.get("maxmemory")) or 0
    uncounted = _number(fields.get("mem_not_counted_for_evict")) or 0
    if 0 < most < (_number(fields.get("used_memory")) or 0) - uncounted:
        return "full: takes no writes"
    if fields.get("role") == "slave" and fields.get("slave_read_only") == "1":
        return "a replica: takes no writes"
    if fields.get("aof_last_write_status") == "err":
        return "cannot write its disk: takes no writes"
    return None


def _fields(reply: bytes) -> dict[str, str]:
    lines = reply.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _keyspace(value: str) -> dict[str, str]:
    """`keys=1,expires=0` as a dictionary."""
    return {name: count for name, _, count in (pair.partition("=") for pair in value.split(","))}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
