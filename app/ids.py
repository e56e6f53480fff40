"""Record ids: unique over workers, instances and restarts without asking anyone.

::

     52                                        12 11         5 4       0
    +--------------------------------------------+------------+---------+
    |  41 bits: ms since 2026-01-01T00:00:00Z    | 7 b. node  | 5 b. seq|
    +--------------------------------------------+------------+---------+

53 bits, because a larger integer does not survive JSON in JavaScript; 41 bits of milliseconds
last until 2095. Ids of one node only grow; over all nodes they are sorted by time to the
millisecond. Time and sequence together are the *stamp*, the 46-bit number a node counts up; a node
gives every stamp once, and no two nodes share a number, so no id is given twice.
"""

from __future__ import annotations

import re

EPOCH_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
NODE_BITS = 7
SEQUENCE_BITS = 5
NODES = 1 << NODE_BITS
MAX_ID = (1 << 53) - 1  # Number.MAX_SAFE_INTEGER of JavaScript
MAX_STAMP = MAX_ID >> NODE_BITS

_DIGITS = re.compile(r"[0-9]{1,16}", re.ASCII)


class NotAnIdError(ValueError):
    """The text is no id; the message says what would be."""


class OutOfIdsError(OverflowError):
    """The 41 bits of time are used up: in 2095, or when the clock says so."""


def next_stamp(last: int, now_ms: int) -> int:
    """The stamp after `last`, at the Unix time `now_ms`.

    When the clock stands still, went back, or 32 were given in this millisecond, the stamp simply
    runs ahead of the clock: it is a number that grows, not a time that must be right.

    Raises OutOfIdsError.
    """
    stamp = max(last + 1, (now_ms - EPOCH_MS) << SEQUENCE_BITS)
    if stamp > MAX_STAMP:
        raise OutOfIdsError("no ids left: the clock, or the ids file, is past the year 2095")
    return stamp


def compose(stamp: int, node: int) -> int:
    """The id of a node's stamp."""
    sequence = stamp & ((1 << SEQUENCE_BITS) - 1)
    return (
        (stamp >> SEQUENCE_BITS) << (NODE_BITS + SEQUENCE_BITS) | node << SEQUENCE_BITS | sequence
    )


def parse(text: str) -> int:
    """The id in a URL: plain digits and nothing else. Raises NotAnIdError.

    `int()` alone would also take "+1", "1_0", " 1" and digits of other scripts.
    """
    if _DIGITS.fullmatch(text):
        number = int(text)
        if number <= MAX_ID:
            return number
    raise NotAnIdError(f"An id is a whole number from 0 to {MAX_ID}, in digits")
