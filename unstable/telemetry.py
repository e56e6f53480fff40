"""What is counted, and when.

A fault counts when it is injected, not when it ends, so that a hanging request shows at once.
A request counts when it ends; in flight it is until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitoring.page import Counter, Histogram, Recorder

OTHER = "_OTHER"
ROUTES = ("/data", "/faults", "/metrics", "/healthz", "/readyz")
# The methods that are served. 5 methods x 6 routes keep the series far below the page's columns.
METHODS = ("GET", "HEAD", "PUT", "DELETE")


class Telemetry:
    """The metrics of the service; every series known beforehand exists from the start.

    Args:
        failing, slowing: kinds of faults of either group; each group has its total too.
    """

    def __init__(
        self, recorder: Recorder, *, failing: Iterable[str], slowing: Iterable[str]
    ) -> None:
        self._recorder = recorder
        self._in_flight = recorder.gauge("http_requests_in_flight")
        self._requests = recorder.counter("requests_total")
        self._failed = recorder.counter("requests_failed")
        self._ended: dict[tuple[str, str, int], Counter] = {}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._totals = {
            **dict.fromkeys(failing, recorder.counter("failures_total")),
            **dict.fromkeys(slowing, recorder.counter("delays_total")),
        }
        self._faults = {kind: recorder.counter("faults_total", kind=kind) for kind in self._totals}
        for route in ROUTES:
            self._series("GET", route, 200)
        self._series("GET", "/data", 500)

    def rates_are(self, rates: Mapping[str, float]) -> None:
        for kind, rate in rates.items():
            self._recorder.gauge("fault_rate", kind=kind).set(rate)

    def fault_injected(self, kind: str) -> None:
        """Count one; a kind of neither group (a clean answer) counts nowhere."""
        if kind in self._totals:
            self._totals[kind].inc()
            self._faults[kind].inc()

    def request_started(self) -> None:
        self._in_flight.inc()

    def request_ended(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request by what came of it.

        Args:
            status: as answered; 444 nothing was answered, 499 the client went away (both as nginx
                logs them).
        """
        self._in_flight.dec()
        ended, duration = self._series(
            method if method in METHODS else OTHER, path if path in ROUTES else OTHER, status
        )
        ended.inc()
        duration.observe(seconds)
        if path != "/metrics":
            self._requests.inc()
            if status >= 500:
                self._failed.inc()

    def _series(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        if (method, route) not in self._seconds:
            self._seconds[method, route] = self._recorder.histogram(
                "http_request_duration_seconds", method=method, route=route
            )
        if (method, route, status) not in self._ended:
            self._ended[method, route, status] = self._recorder.counter(
                "http_requests_total", method=method, route=route, status=str(status)
            )
        return self._ended[method, route, status], self._seconds[method, route]
