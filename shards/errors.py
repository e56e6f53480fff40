"""What can go wrong with the store.

::

    StoreError
    ├── StoreUnavailableError   the shard that must know does not answer: try again later
    ├── RecordConflictError     the id holds another value already: ids are not unique
    └── ShardError              one command on one shard failed
        └── ShardTimeoutError   ... or brought no reply in time, and may have been done
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the store."""


class ShardError(StoreError):
    """A shard did not do what it was told: refused, full, read-only, loading, cut off."""

    def __init__(self, shard: str, reason: str) -> None:
        super().__init__(f"{shard}: {reason}")
        self.shard = shard
        self.reason = reason


class ShardTimeoutError(ShardError):
    """No reply in time. Whether the command was carried out is not known."""


class StoreUnavailableError(StoreError):
    """Whether the record exists cannot be said now."""

    def __init__(self, shard: str, reason: str, retry_after_seconds: float) -> None:
        super().__init__(f"{shard}: {reason}; try again in {retry_after_seconds:g} s")
        self.shard = shard
        self.retry_after_seconds = retry_after_seconds


class RecordConflictError(StoreError):
    """The id is taken by a different value. Nothing was written; two writers share an id."""

    def __init__(self, record_id: int, shard: str) -> None:
        super().__init__(
            f"record {record_id} exists on {shard} with another value: its id is not unique"
        )
        self.record_id = record_id
