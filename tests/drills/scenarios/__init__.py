"""One drill a file; what lies here is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from typing import get_args

from ..drill import About, Drill


def all_drills() -> dict[str, Drill]:
    """Every drill by its name, grouped by what it is about.

    Raises ValueError for two of the same name.
    """
    modules = (
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    )
    drills: list[Drill] = [module.DRILL for module in modules]
    groups = get_args(About)
    drills.sort(key=lambda drill: (groups.index(drill.about), drill.name))
    named = {drill.name: drill for drill in drills}
    if len(named) != len(drills):
        raise ValueError(f"two drills have one name: {', '.join(drill.name for drill in drills)}")
    return named
