"""The last answer that was real, to be given with its age instead of a static fallback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class LastGood:
    """Remembers one value for at most `seconds` (0: never; the policy is off).

    As HTTP's `stale-if-error` (RFC 5861, section 4): an answer too old for any other use is
    better than none, as long as it says how old it is.
    """

    seconds: float = 0.0
    _value: Any = None
    _at: float | None = None

    def keep(self, value: Any, now: float) -> None:
        if self.seconds:
            self._value, self._at = value, now

    def age(self, now: float) -> float | None:
        """Seconds; None when there is no value, or it is too old."""
        if self._at is None or now - self._at > self.seconds:
            return None
        return now - self._at

    @property
    def value(self) -> Any:
        return self._value
