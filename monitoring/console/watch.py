"""The latest look at the programs' states, shared by all who want it. Edge."""

from __future__ import annotations

import asyncio
import time

from ..stack.observe import observe
from ..stack.project import Project
from ..stack.readiness import Prober
from ..stack.state import StackState

CACHE_SECONDS = 0.5  # many viewers cost no more questions than one


class Watch:
    """A look is taken when somebody wants one and the last is old."""

    def __init__(self, project: Project, prober: Prober) -> None:
        self._project = project
        self._prober = prober
        self._lock = asyncio.Lock()
        self._state: StackState | None = None
        self._taken = 0.0

    async def state(self) -> StackState:
        async with self._lock:
            if self._state is None or time.monotonic() - self._taken > CACHE_SECONDS:
                self._state = await observe(self._project, self._prober)
                self._taken = time.monotonic()
            return self._state
