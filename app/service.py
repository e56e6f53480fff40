"""What handlers work with: `request.app[SERVICE]`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .observe import REQUEST_ID
from .records import Records
from .resilience import Answer, Limit, ResilientCall, parse_remainder
from .tracing import TRACE
from .upstream import Upstream

FALLBACK: Mapping[str, Any] = {"message": "Fallback response"}


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of this worker."""

    upstream: Upstream
    call: ResilientCall
    records: Records
    limit: Limit = field(default_factory=Limit)
    pid: int = field(default_factory=os.getpid)

    async def ask(self, request: web.Request) -> Answer[dict[str, Any]]:
        """What the external service says, or the fallback, within the caller's time."""
        request_id, trace = request[REQUEST_ID], request[TRACE]

        async def attempt(seconds: float) -> dict[str, Any]:
            return await self.upstream.fetch(seconds, request_id, trace.attempt())

        remainder = parse_remainder(request.headers.get("X-Request-Timeout-Ms"))
        self.limit.pause()  # waiting for somebody else is no work of ours
        try:
            return await self.call(attempt, lambda: dict(FALLBACK), remainder)
        finally:
            self.limit.resume()


SERVICE = web.AppKey("service", Service)
