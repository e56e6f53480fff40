"""The balancer's metrics: cells are looked up once and kept, counting costs an addition."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import nan
from typing import Literal, get_args

from monitoring.page import Counter, Gauge, Histogram, MetricsPage, PageFullError, Recorder

from .backends import Backend
from .retry import Failure

Shed = Literal["in_flight", "backends", "connections"]

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_FAILURES: tuple[Failure, ...] = get_args(Failure)
_SHED: tuple[Shed, ...] = get_args(Shed)

# Answers of the balancer's own. Those to a head without a meaning have no method of their own, and
# a connection too many has none yet.
_OWN_TO_NO_METHOD = (400, 405, 408, 413, 414, 417, 431, 501, 503, 505)
_USUAL_METHODS = (b"GET", b"POST")  # of the rest the series come with their first request
_OWN_WITHOUT_BACKEND = (503,)
_OF_BACKEND = (200, 502, 503, 504)  # 503 is an app that cannot serve now


@dataclass(frozen=True)
class _OfBackend:
    """The cells of one backend."""

    errors: dict[Failure, Counter]
    checks: dict[bool, Counter]
    ejections: Counter
    up: Gauge
    is_ejected: Gauge
    is_draining: Gauge
    weight: Gauge
    in_flight: Gauge
    limit: Gauge

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        return (
            self.up,
            self.is_ejected,
            self.is_draining,
            self.weight,
            self.in_flight,
            self.limit,
        )


class Counts:
    """Counts of one worker.

    Args:
        recorder: the worker's row of the metrics page.
        slot: the worker's.
    """

    def __init__(self, recorder: Recorder, *, slot: int) -> None:
        self._recorder = recorder
        self._requests: dict[tuple[str, bytes, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}
        self._overflow = recorder.counter(
            "balancer_requests_total", backend="none", method="_OTHER", status="_OTHER"
        )
        for status in _OWN_TO_NO_METHOD:
            recorder.counter(
                "balancer_requests_total", backend="none", method="_OTHER", status=str(status)
            )
        for method, status in product(_USUAL_METHODS, _OWN_WITHOUT_BACKEND):
            self._request_cell(("none", method, status))
        self._of_worker = recorder.counter("worker_requests_total", slot=str(slot))
        self._client_gone = recorder.counter("balancer_client_disconnects_total")
        self._retries = {
            failure: recorder.counter("balancer_retries_total", reason=failure)
            for failure in _FAILURES
        }
        self._shed = {
            reason: recorder.counter("balancer_shed_total", reason=reason) for reason in _SHED
        }
        self._budget_exhausted = recorder.counter("balancer_retry_budget_exhausted_total")
        self._budget_left = recorder.gauge("balancer_retry_budget_left")
        self._changes = recorder.gauge("balancer_changes_serial")
        self._tunnels = recorder.gauge("balancer_tunnels")
        self._client_connections = recorder.gauge("balancer_connections", side="client")
        self._upstream_connections = recorder.gauge("balancer_connections", side="upstream")
        self._seconds_cell("none")
        self._backends: dict[str, _OfBackend] = {}
        self._others: _OfBackend | None = None

    def know(self, label: str) -> None:
        """Have the series of a backend, at 0. When the page is full, because very many came and
        went, those of later ones are not shown."""
        if label in self._backends:
            return
        try:
            self._backends[label] = self._cells(label)
            for method, status in product(_USUAL_METHODS, _OF_BACKEND):
                self._request_cell((label, method, status))
            self._seconds_cell(label)
        except PageFullError:
            self._backends[label] = self._others = self._others or self._cells(None)

    def forget(self, label: str) -> None:
        """A removed backend is neither up nor down."""
        for gauge in self._backends[label].gauges:
            gauge.set(nan)

    def _cells(self, label: str | None) -> _OfBackend:
        recorder = self._recorder if label is not None else MetricsPage().recorder(0)
        backend = label or "_OTHER"
        return _OfBackend(
            errors={
                failure: recorder.counter(
                    "balancer_upstream_errors_total", backend=backend, kind=failure
                )
                for failure in _FAILURES
            },
            checks={
                passed: recorder.counter(
                    "balancer_health_checks_total",
                    backend=backend,
                    result="pass" if passed else "fail",
                )
                for passed in (True, False)
            },
            ejections=recorder.counter("balancer_ejections_total", backend=backend),
            up=recorder.gauge("balancer_backend_up", backend=backend),
            is_ejected=recorder.gauge("balancer_backend_ejected", backend=backend),
            is_draining=recorder.gauge("balancer_backend_draining", backend=backend),
            weight=recorder.gauge("balancer_backend_weight", backend=backend),
            in_flight=recorder.gauge("balancer_requests_in_flight", backend=backend),
            limit=recorder.gauge("balancer_backend_limit", backend=backend),
        )

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
        self._backends[backend].errors[failure].inc()

    def retried(self, failure: Failure) -> None:
        self._retries[failure].inc()

    def checked(self, backend: str, *, passed: bool) -> None:
        self._backends[backend].checks[passed].inc()

    def ejected(self, backend: str) -> None:
        self._backends[backend].ejections.inc()

    def shed(self, reason: Shed) -> None:
        """A request or a connection was turned away because there are too many."""
        self._shed[reason].inc()

    def budget_exhausted(self) -> None:
        self._budget_exhausted.inc()

    def changes(self, serial: int) -> None:
        """The changes up to this one are in force."""
        self._changes.set(serial)

    def retry_budget(self, left: float) -> None:
        self._budget_left.set(left)

    def tunnels(self, now_open: int) -> None:
        self._tunnels.set(now_open)

    def connections(self, *, client: int, upstream: int) -> None:
        self._client_connections.set(client)
        self._upstream_connections.set(upstream)

    def backend(self, backend: Backend) -> None:
        """How it is now."""
        cells = self._backends[backend.label]
        cells.up.set(backend.healthy)
        cells.is_ejected.set(backend.ejected)
        cells.is_draining.set(backend.draining)
        cells.weight.set(backend.weight)
        cells.in_flight.set(backend.in_flight)
        cells.limit.set(backend.max_in_flight)

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
        try:
            cell = self._recorder.histogram("balancer_request_duration_seconds", backend=backend)
        except PageFullError:
            cell = self._seconds["none"]
        self._seconds[backend] = cell
        return cell
