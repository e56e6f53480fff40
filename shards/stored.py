"""What is said of a write. Pure."""

from __future__ import annotations

from enum import StrEnum


class Stored(StrEnum):
    """What is true of a record when `put` returns."""

    REPLICATED = "replicated"  # every copy asked for exists
    DEGRADED = "degraded"  # fewer copies than asked for, and hints to make the others
    NONE = "none"  # no copy is known to exist
