"""The body of `PUT /faults`: bytes to names and values. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .settings import BadSettingError


def parse_changes(body: bytes) -> dict[str, object]:
    """The JSON object in `body`.

    Raises BadSettingError when it is not one, or when it names something twice: which of the two
    was meant cannot be known.
    """
    try:
        value = json.loads(body, object_pairs_hook=_without_repeats)
    except BadSettingError:
        raise
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        raise BadSettingError(f"the body is not JSON: {str(error)[:80]}") from None
    if not isinstance(value, dict):
        raise BadSettingError('the body must be a JSON object, like {"failure_rate": 0.5}')
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    if len(counts) < len(pairs):
        name, count = counts.most_common(1)[0]
        raise BadSettingError(f"{json.dumps(name[:80])} is given {count} times")
    return dict(pairs)
