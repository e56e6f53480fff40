"""The counters of one worker. Cells are looked up once; counting is a store each."""

from __future__ import annotations

from aiohttp import hdrs

from monitoring.page import Counter, Histogram, Recorder

from .resilience import FallbackReason, Outcome, Result, Source, Trace

OTHER = "_OTHER"  # keeps labels bounded whatever clients send

_METHODS = hdrs.METH_ALL - {hdrs.METH_ANY}
_FAILURES = (Outcome.HTTP_ERROR, Outcome.TIMEOUT, Outcome.CONNECT_ERROR, Outcome.BAD_ANSWER)
# Of every route there from the start: what went well, and what a rate of errors is made of.
_KNOWN_STATUSES = (200, 500, 503)
_CUT_SHORT = (Outcome.CANCELLED, Outcome.OVERTAKEN)


class HttpMetrics:
    """Requests as they end. `routes` exist with 0 from the start; `slot` is the worker's."""

    def __init__(self, recorder: Recorder, routes: list[str], slot: int = 0) -> None:
        self._recorder = recorder
        self._cells: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = recorder.counter("requests_total")
        self._failed = recorder.counter("requests_failed")
        self._of_worker = recorder.counter("worker_requests_total", slot=str(slot))
        self.shed = recorder.counter("http_requests_shed_total")
        self.in_flight = recorder.gauge("http_requests_in_flight")
        for route in routes:
            for status in _KNOWN_STATUSES:
                self._look_up("GET", route, status)

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        cells = self._cells.get((method, route, status))
        if cells is None:
            cells = self._look_up(method, route, status)
        cells[0].inc()
        cells[1].observe(seconds)
        self._of_worker.inc()
        if route != "/metrics":
            self._requests.inc()
        if status >= 500:
            self._failed.inc()

    def _look_up(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        if method not in _METHODS:
            method = OTHER
        cells = (
            self._recorder.counter(
                "http_requests_total", method=method, route=route, status=str(status)
            ),
            self._recorder.histogram("http_request_duration_seconds", method=method, route=route),
        )
        if method != OTHER:
            self._cells[(method, route, status)] = cells
        return cells


class CallMetrics:
    """Calls of the external service."""

    def __init__(self, recorder: Recorder) -> None:
        count = recorder.counter
        self._attempts = {o: count("external_requests_total", outcome=o) for o in Outcome}
        self._results = {r: count("external_calls_total", result=r) for r in Result}
        self._retries = {o: count("external_retries_total", reason=o) for o in _FAILURES}
        self._fallbacks = {r: count("fallbacks_total", reason=r) for r in FallbackReason}
        self._hedges = count("external_hedges_total")
        self._probes = count("external_probes_total")
        self._answers = {s: count("answers_total", source=s) for s in Source}
        self._seconds = recorder.histogram("external_request_duration_seconds")

    def observe(self, trace: Trace) -> None:
        """A call has ended."""
        for attempt in trace.attempts:
            self._attempts[attempt.outcome].inc()
            if attempt.outcome not in _CUT_SHORT:  # how long it would have taken is unknown
                self._seconds.observe(attempt.seconds)
        for outcome in trace.retried:
            self._retries[outcome].inc()
        if trace.hedges:
            self._hedges.inc(trace.hedges)
        if trace.probe:
            self._probes.inc()
            return  # nobody waited for it, so it is no answer to anybody
        self._results[trace.result].inc()
        if trace.result is not Result.CANCELLED:
            self._answers[trace.source].inc()
        if trace.result is Result.FALLBACK and trace.reason is not None:
            self._fallbacks[trace.reason].inc()
