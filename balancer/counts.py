"""The balancer's metrics: cells are looked up once and kept, counting costs an addition."""

from __future__ import annotations

from monitoring.page import Counter, Histogram, PageFullError, Recorder

from .retry import Failure

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_FAILURES: tuple[Failure, ...] = ("connect", "stale", "reset", "timeout", "protocol", "status")


class Counts:
    """Counts of one worker.

    Args:
        recorder: the worker's row of the metrics page.
        backends: their labels; series known in advance start at 0.
        slot: the worker's.
    """

    def __init__(self, recorder: Recorder, backends: list[str], *, slot: int) -> None:
        self._recorder = recorder
        self._requests: dict[tuple[str, bytes, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}
        self._overflow = recorder.counter(
            "balancer_requests_total", backend="none", method="_OTHER", status="_OTHER"
        )
        self._of_worker = recorder.counter("worker_requests_total", slot=str(slot))
        self._client_gone = recorder.counter("balancer_client_disconnects_total")
        self._retries = {
            failure: recorder.counter("balancer_retries_total", reason=failure)
            for failure in _FAILURES
        }
        self._errors = {
            (label, failure): recorder.counter(
                "balancer_upstream_errors_total", backend=label, kind=failure
            )
            for label in backends
            for failure in _FAILURES
        }
        self._checks = {
            (label, passed): recorder.counter(
                "balancer_health_checks_total",
                backend=label,
                result="pass" if passed else "fail",
            )
            for label in backends
            for passed in (True, False)
        }
        self._up = {
            label: recorder.gauge("balancer_backend_up", backend=label) for label in backends
        }
        self._in_flight = {
            label: recorder.gauge("balancer_requests_in_flight", backend=label)
            for label in backends
        }
        self._client_connections = recorder.gauge("balancer_connections", side="client")
        self._upstream_connections = recorder.gauge("balancer_connections", side="upstream")
        for label in backends:
            self._request_cell((label, b"GET", 200))
            self._seconds_cell(label)

    def finished(
        self, backend: str, method: bytes, status: int, seconds: float, *, client_gone: bool
    ) -> None:
        backend = backend or "none"
        key = (backend, method, status)
        (self._requests.get(key) or self._request_cell(key)).inc()
        (self._seconds.get(backend) or self._seconds_cell(backend)).observe(seconds)
        self._of_worker.inc()
        if client_gone:
            self._client_gone.inc()

    def upstream_error(self, backend: str, failure: Failure) -> None:
        self._errors[backend, failure].inc()

    def retried(self, failure: Failure) -> None:
        self._retries[failure].inc()

    def checked(self, backend: str, *, passed: bool) -> None:
        self._checks[backend, passed].inc()

    def connections(self, *, client: int, upstream: int) -> None:
        self._client_connections.set(client)
        self._upstream_connections.set(upstream)

    def backend(self, label: str, *, up: bool, in_flight: int) -> None:
        self._up[label].set(up)
        self._in_flight[label].set(in_flight)

    def _request_cell(self, key: tuple[str, bytes, int]) -> Counter:
        backend, method, status = key
        known = method.decode() if method in _METHODS else "_OTHER"
        try:
            cell = self._recorder.counter(
                "balancer_requests_total", backend=backend, method=known, status=str(status)
            )
        except PageFullError:  # backends make up statuses: that must not stop a request
            cell = self._overflow
        if method in _METHODS:  # the keys of odd methods must not pile up
            self._requests[key] = cell
        return cell

    def _seconds_cell(self, backend: str) -> Histogram:
        cell = self._recorder.histogram("balancer_request_duration_seconds", backend=backend)
        self._seconds[backend] = cell
        return cell
