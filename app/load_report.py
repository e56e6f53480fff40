"""How long work waits for the CPU in this worker, told with every answer. Edge.

Whoever spreads requests must know when a worker has more than it can do, and the time that
answers take does not say so: it is as long when the external service is slow. What grows with
overload alone is the time between the moment something could run and the moment it does, measured
here by a timer that asks to be called every 50 ms and looks how late it is.

The header is that of Envoy's open request cost aggregation (ORCA), in its text form:
`Endpoint-Load-Metrics: TEXT named_metrics.queue_seconds=0.012`.
"""

from __future__ import annotations

import asyncio

HEADER = "Endpoint-Load-Metrics"

_INTERVAL = 0.05  # seconds
_WEIGHT = 0.3  # of the newest look; the last ten tenths of a second count


class LoadReport:
    """The text of the header; `run` keeps it up to date until cancelled."""

    def __init__(self) -> None:
        self._queue_seconds = 0.0
        self.text = self._told()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(_INTERVAL)
            late = max(0.0, loop.time() - asked - _INTERVAL)
            self._queue_seconds += _WEIGHT * (late - self._queue_seconds)
            self.text = self._told()

    def _told(self) -> str:
        return f"TEXT named_metrics.queue_seconds={self._queue_seconds:.4f}"
