"""What is counted, and that labels stay bounded."""

from __future__ import annotations

from app.metrics import CallMetrics, HttpMetrics
from app.resilience import Attempt, FallbackReason, Outcome, Result, Trace
from monitoring.exposition import render
from monitoring.page import MetricsPage
from tests.exposition_text import parse, sample


def test_a_call_is_counted_once_and_its_attempts_each() -> None:
    page = MetricsPage()
    metrics = CallMetrics(page.recorder(0))
    trace = Trace(
        attempts=[
            Attempt(Outcome.TIMEOUT, 0.0, 0.25),
            Attempt(Outcome.HTTP_ERROR, 0.3, 0.002),
            Attempt(Outcome.CANCELLED, 0.4, 5.0),
        ],
        retried=[Outcome.TIMEOUT, Outcome.HTTP_ERROR],
        result=Result.CANCELLED,
        reason=None,
    )
    metrics.observe(trace)
    metrics.observe(Trace(result=Result.FALLBACK, reason=FallbackReason.DEADLINE))
    samples = parse(render([page]))
    assert samples[sample("external_requests_total", outcome="timeout")] == 1
    assert samples[sample("external_requests_total", outcome="cancelled")] == 1
    assert samples[sample("external_retries_total", reason="timeout")] == 1
    assert samples[sample("external_calls_total", result="cancelled")] == 1
    assert samples[sample("external_calls_total", result="fallback")] == 1
    assert samples[sample("fallbacks_total", reason="deadline")] == 1
    # How long a cancelled attempt would have taken is not known, so it is in no bucket.
    assert samples[sample("external_request_duration_seconds_count")] == 2


def test_requests_are_counted_but_not_those_for_the_metrics_themselves() -> None:
    page = MetricsPage()
    metrics = HttpMetrics(page.recorder(0), ["/", "/metrics"])
    metrics.ended("GET", "/", 200, 0.1)
    metrics.ended("GET", "/", 503, 0.1)
    metrics.ended("GET", "/metrics", 200, 0.1)
    samples = parse(render([page]))
    assert samples[sample("requests_total")] == 2
    assert samples[sample("requests_failed")] == 1
    key = sample("http_requests_total", method="GET", route="/metrics", status="200")
    assert samples[key] == 1


def test_methods_that_clients_make_up_share_one_label() -> None:
    page = MetricsPage()
    metrics = HttpMetrics(page.recorder(0), [])
    for number in range(2000):  # more than the page has columns
        metrics.ended(f"METHOD{number}", "_OTHER", 405, 0.1)
    samples = parse(render([page]))
    key = sample("http_requests_total", method="_OTHER", route="_OTHER", status="405")
    assert samples[key] == 2000
