"""How long work waits for the CPU in this worker, told with every answer. Edge.

Whoever spreads requests must know when a worker has more than it can do, and the time that
answers take does not say so: it is as long when the external service is slow. What grows with
overload alone is the time between the moment something could run and the moment it does, measured
here by a timer that asks to be called every 50 ms and looks how late it is. What waits in the
kernel, for the connection to be accepted or read, is not seen from here: so the answer says too
how long this worker had the request, and who sent it subtracts that from the time it took.

The header is that of Envoy's open request cost aggregation (ORCA), in its text form:
`Endpoint-Load-Metrics: TEXT named_metrics.queue_seconds=0.012,named_metrics.service_seconds=0.034`.
"""

from __future__ import annotations

import asyncio
from collections import deque

HEADER = "Endpoint-Load-Metrics"

_INTERVAL = 0.05  # seconds
_WEIGHT = 0.3  # of the newest look; the last ten tenths of a second count
_WORST_OF = 10  # looks


class LoadReport:
    """Makes the header; `run` keeps what it says up to date until cancelled."""

    def __init__(self) -> None:
        self._queue_seconds = 0.0
        self._looks: deque[float] = deque([0.0], _WORST_OF)
        self._text = self._told()

    def queue_seconds(self) -> float:
        """How long what can run waits in this loop, lately."""
        return self._queue_seconds

    def worst_seconds(self) -> float:
        """The longest of the last looks, half a second."""
        return max(self._looks)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(_INTERVAL)
            late = max(0.0, loop.time() - asked - _INTERVAL)
            self._looks.append(late)
            self._queue_seconds += _WEIGHT * (late - self._queue_seconds)
            self._text = self._told()

    def header(self, service_seconds: float) -> str:
        """`service_seconds`: since the request was read, of one answer."""
        return f"{self._text}{service_seconds:.4f}"

    def _told(self) -> str:
        queue = f"named_metrics.queue_seconds={self._queue_seconds:.4f}"
        return f"TEXT {queue},named_metrics.service_seconds="
