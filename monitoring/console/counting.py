"""What the console counts of the requests to itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..page import Recorder

_OTHER = "_OTHER"  # keeps labels bounded whatever clients send
_METHODS = ("GET", "HEAD", "POST")


class Requests:
    """Requests as they begin and end; those that are known beforehand are there with 0.

    Args:
        routes: every route as it is named in a label, with the method it is for.
    """

    def __init__(self, recorder: Recorder, routes: Mapping[str, str]) -> None:
        self._recorder = recorder
        self._routes = routes
        self._in_flight = recorder.gauge("http_requests_in_flight")
        self._in_flight.set(0)
        for route, method in routes.items():
            self._recorder.counter("http_requests_total", method=method, route=route, status="200")
            self._recorder.histogram("http_request_duration_seconds", method=method, route=route)

    def began(self) -> None:
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        self._in_flight.dec()
        labels = {
            "method": method if method in _METHODS else _OTHER,
            "route": route if route in self._routes else _OTHER,
        }
        self._recorder.counter("http_requests_total", **labels, status=str(status)).inc()
        self._recorder.histogram("http_request_duration_seconds", **labels).observe(seconds)
