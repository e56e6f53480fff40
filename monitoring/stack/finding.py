"""One thing that `make doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# ok       as it should be
# note     everything runs, something of it less well or not at all
# problem  the stack cannot start, or would lose what it promises to keep
Gravity = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and one line that mends it ("" when nothing is wrong)."""

    what: str
    gravity: Gravity
    seen: str
    fix: str = ""
