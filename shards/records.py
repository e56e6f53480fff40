"""What a record is: an id, some bytes, and the key it lies under. Pure."""

from __future__ import annotations

MAX_ID = 2**53 - 1  # the largest integer that survives JSON in JavaScript


def key_of(record_id: int) -> bytes:
    """The key of a record: `d:{1234}`.

    The braces are a hash tag: Redis Cluster takes only what they hold to find the slot, so the
    same keys lie in the same slots there.
    """
    return b"d:{%d}" % record_id


def check_id(record_id: int) -> None:
    """Raises ValueError for anything but an integer of 0..2^53-1."""
    if type(record_id) is not int or not 0 <= record_id <= MAX_ID:
        raise ValueError(f"record id {record_id!r}: must be an integer from 0 to {MAX_ID}")


def check_value(value: bytes, limit: int) -> None:
    """Raises ValueError for more than `limit` bytes, TypeError for anything but bytes."""
    if not isinstance(value, bytes):
        raise TypeError(f"a record's value must be bytes, not {type(value).__name__}")
    if len(value) > limit:
        raise ValueError(f"value of {len(value)} bytes: at most {limit} are allowed")
