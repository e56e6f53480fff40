"""The `Retry-After` field (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait from `now` (Unix time), from a number or an HTTP date; None when the field
    is absent or neither. A date that has passed is 0."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if when.tzinfo is None:  # "-0000": UTC that names no zone
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)
