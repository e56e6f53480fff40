"""Every metric of the stack: name, type, help, labels, buckets and how workers are merged.

The one table. Code that counts names a metric from here (`MetricsPage` refuses any other name),
the exposition takes type and help from here, and tests hold dashboards and alerts to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "unknown"]
Merge = Literal["sum", "max", "min"]

# OpenTelemetry's advised HTTP bounds (0.005 to 10 s) without 0.075, 0.75 and 7.5, and with
# 1 and 2.5 ms added because calls over loopback are fast. 0.25 and 1 s are the Apdex bounds.
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REDIS_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One line of the catalogue.

    `kind` "unknown" is exposed as `untyped`: a count whose inherited name lacks `_total`.
    `merge` says how the values of several workers become one: counters add up; so do gauges,
    unless every worker would report the same fact ("max", "min").
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "sum"


METRICS: tuple[Metric, ...] = (
    # every process
    Metric("uptime_seconds", "gauge", "Seconds since this service started.", merge="max"),
    Metric(
        "stack_build_info",
        "gauge",
        "Always 1; the labels name the running build.",
        ("version", "python"),
        merge="max",
    ),
    Metric(
        "http_requests_total",
        "counter",
        "HTTP requests answered, counted when they end.",
        ("method", "route", "status"),
    ),
    Metric(
        "http_request_duration_seconds",
        "histogram",
        "Seconds from the request's head to the end of its answer.",
        ("method", "route"),
        HTTP_SECONDS,
    ),
    Metric("http_requests_in_flight", "gauge", "HTTP requests being worked on now."),
    Metric("process_cpu_seconds_total", "counter", "CPU seconds, all processes of the service."),
    Metric(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory, summed over the processes of the service (shared pages count twice).",
    ),
    Metric("process_open_fds", "gauge", "Open file descriptors of all processes of the service."),
    Metric(
        "process_start_time_seconds",
        "gauge",
        "Unix time at which the service started.",
        merge="min",
    ),
    # app and unstable
    Metric("requests_total", "counter", "HTTP requests answered, except /metrics."),
    Metric("requests_failed", "unknown", "HTTP requests answered with a 5xx status."),
    # app: the external call
    Metric(
        "external_requests_total",
        "counter",
        "Attempts made at the external service.",
        ("outcome",),
    ),
    Metric(
        "external_request_duration_seconds",
        "histogram",
        "Seconds one attempt at the external service took.",
        (),
        HTTP_SECONDS,
    ),
    Metric(
        "external_calls_total",
        "counter",
        "Logical calls of the external service, however many attempts each took.",
        ("result",),
    ),
    Metric("external_retries_total", "counter", "Attempts made after a failure.", ("reason",)),
    Metric("external_hedges_total", "counter", "Attempts started beside a slow one."),
    Metric("external_probes_total", "counter", "Calls that tried out a service given up."),
    Metric(
        "external_breaker_state",
        "gauge",
        "Of the whole box: 0 closed, 1 open, 2 half open, 3 ramping.",
        merge="max",
    ),
    Metric(
        "external_hedge_delay_seconds",
        "gauge",
        "Silence after which the next attempt is started beside the last.",
        merge="max",
    ),
    Metric("answers_total", "counter", "Answers given, by where the data is from.", ("source",)),
    Metric("http_requests_shed_total", "counter", "Requests refused at once: too many."),
    Metric("http_requests_limit", "gauge", "Requests worked on at once, at most."),
    Metric(
        "fallbacks_total", "counter", "Answers given without the external service.", ("reason",)
    ),
    # app: the store
    Metric(
        "redis_keys_total",
        "gauge",
        "Records a shard holds; absent while the shard does not answer.",
        ("shard",),
        merge="max",
    ),
    Metric("redis_shard_up", "gauge", "1 when the shard answers.", ("shard",), merge="max"),
    Metric(
        "redis_shard_takes_writes",
        "gauge",
        "0 while a shard is known to take no writes: absent, full, read-only, still loading.",
        ("shard",),
        merge="min",
    ),
    Metric(
        "redis_operations_total",
        "counter",
        "Operations on a shard by result.",
        ("shard", "op", "result"),
    ),
    Metric(
        "redis_operation_duration_seconds",
        "histogram",
        "Seconds an operation on a shard took.",
        ("shard", "op"),
        REDIS_SECONDS,
    ),
    Metric(
        "store_copies_made_total",
        "counter",
        "Missing copies of records made good, by how they were found missing.",
        ("why",),
    ),
    Metric(
        "store_hints",
        "gauge",
        "Records a shard lacks that others keep for it.",
        ("shard",),
        merge="max",
    ),
    Metric(
        "store_scan_records",
        "gauge",
        "Records looked at so far while everything is copied anew to a shard; 0: none is.",
        ("shard",),
        merge="max",
    ),
    Metric(
        "store_scan_records_expected",
        "gauge",
        "Records to look at while everything is copied anew to a shard; 0: none is.",
        ("shard",),
        merge="max",
    ),
    Metric(
        "store_writes_total",
        "counter",
        "Records by what became of them: replicated, degraded (a copy is missing), none.",
        ("stored",),
    ),
    # every worker pool (app, balancer)
    Metric("workers", "gauge", "Workers of the pool by state.", ("state",)),
    Metric("worker_restarts_total", "counter", "Workers replaced, by reason.", ("reason",)),
    Metric("worker_requests_total", "counter", "Requests a worker slot has answered.", ("slot",)),
    # balancer
    Metric(
        "balancer_requests_total",
        "counter",
        "Requests through the front door; backend is 'none' when none was reached.",
        ("backend", "method", "status"),
    ),
    Metric(
        "balancer_request_duration_seconds",
        "histogram",
        "Seconds from the request's head to the end of its answer.",
        ("backend",),
        HTTP_SECONDS,
    ),
    Metric(
        "balancer_requests_in_flight", "gauge", "Requests now at a backend.", ("backend",)
    ),
    Metric(
        "balancer_backend_limit",
        "gauge",
        "Requests that the backend may have at once; less while work waits there for the CPU.",
        ("backend",),
    ),
    Metric(
        "balancer_backend_up",
        "gauge",
        "1 while the backend passes its health checks.",
        ("backend",),
        merge="max",
    ),
    Metric(
        "balancer_backend_ejected",
        "gauge",
        "1 while a worker keeps the backend out because requests to it failed.",
        ("backend",),
        merge="max",
    ),
    Metric(
        "balancer_backend_draining",
        "gauge",
        "1 while the backend finishes what it has and gets nothing new.",
        ("backend",),
        merge="max",
    ),
    Metric(
        "balancer_backend_weight", "gauge", "Weight of the backend.", ("backend",), merge="max"
    ),
    Metric(
        "balancer_ejections_total",
        "counter",
        "Times a backend was taken out because requests to it failed.",
        ("backend",),
    ),
    Metric(
        "balancer_upstream_errors_total",
        "counter",
        "Attempts at a backend that brought no usable answer.",
        ("backend", "kind"),
    ),
    Metric(
        "balancer_retries_total", "counter", "Requests tried at a second backend.", ("reason",)
    ),
    Metric(
        "balancer_retry_budget_exhausted_total",
        "counter",
        "Retries not made because the retry budget was used up.",
    ),
    Metric(
        "balancer_changes_serial",
        "gauge",
        "Number of the last change of the backends that is in force in every worker.",
        merge="min",
    ),
    Metric("balancer_retry_budget_left", "gauge", "Retries that may be made now."),
    Metric(
        "balancer_shed_total",
        "counter",
        "Requests and connections turned away because there were too many.",
        ("reason",),
    ),
    Metric(
        "balancer_health_checks_total", "counter", "Active health checks.", ("backend", "result")
    ),
    Metric(
        "balancer_client_disconnects_total",
        "counter",
        "Clients that went away before their answer was complete.",
    ),
    Metric(
        "balancer_connections", "gauge", "Open connections.", ("side",)
    ),
    Metric("balancer_tunnels", "gauge", "WebSocket tunnels now open."),
    # the external service
    Metric("failures_total", "counter", "Requests failed on purpose."),
    Metric("delays_total", "counter", "Requests delayed on purpose."),
    Metric("faults_total", "counter", "Faults injected, by kind.", ("kind",)),
    Metric("fault_rate", "gauge", "Probability of each fault, as set now.", ("kind",), merge="max"),
)  # fmt: skip

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
