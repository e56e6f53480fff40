"""One file is one measurement; each has a MEASUREMENT. To add one, add a file."""

from __future__ import annotations

import importlib
import pkgutil

from ..bench import Measurement


def all_measurements() -> list[Measurement]:
    """In the order of the report."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").MEASUREMENT
        for module in pkgutil.iter_modules(__path__)
    ]
    return sorted(found, key=lambda measurement: measurement.place)


def chosen(names: tuple[str, ...]) -> list[Measurement]:
    """Those named, `balancer` being all that begin so; all when none is named.

    Raises ValueError for a name that is none.
    """
    known = all_measurements()
    wanted: set[str] = set()
    for name in names:
        matching = [one.name for one in known if f"{one.name}-".startswith(f"{name}-")]
        if not matching:
            raise ValueError(
                f"{name!r} is no benchmark; there are {', '.join(one.name for one in known)}"
            )
        wanted.update(matching)
    return [one for one in known if not names or one.name in wanted]
