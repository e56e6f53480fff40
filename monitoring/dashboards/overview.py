"""Overview: is the stack answering, how, and what does it cost."""

from __future__ import annotations

from .board import Board, Row
from .panels import BAD, GOOD, NEUTRAL, WARNING, Query, Text, lines, numbers, up_or_down

# A rate over nothing is not 0 % but unknown: `> 0` leaves it out, and the panel says "no traffic".
CLIENT_REQUESTS = 'sum(rate(balancer_requests_total{job="balancer"}[$__rate_interval])) > 0'
CALLS = 'sum(rate(external_calls_total{job="app"}[$__rate_interval])) > 0'
LATENCY = (
    'sum by (le) (rate(balancer_request_duration_seconds_bucket{job="balancer"}[$__rate_interval]))'
)
STATUS_COLORS = {"^2": GOOD, "^3": NEUTRAL, "^4": WARNING, "^5": BAD}

NOW = Row(
    "Now",
    (
        numbers(
            Text(
                "Programs down",
                "none",
                "Programs that do not answer Prometheus. Normal: 0. Otherwise "
                "`supervisorctl status` names the one, and its log is in var/log.",
            ),
            [Query("count(up == 0) or vector(0)", "down")],
            width=4,
            bad_from=1,
        ),
        numbers(
            Text(
                "Requests total",
                "short",
                "Requests that the app instances have answered, /metrics left out. It counts on "
                "over restarts. Normal: it grows with every request. If it stands still while you "
                "send some, look at the balancer below.",
            ),
            [Query('sum(requests_total{job="app"})', "requests")],
            width=4,
        ),
        numbers(
            Text(
                "Failed requests total",
                "short",
                "Requests that the app instances answered with a 5xx status. Normal: it stands "
                "still, whatever the external service does. It grows while a shard is down and "
                "its records are asked for.",
            ),
            [Query('sum(requests_failed{job="app"})', "failed")],
            width=4,
        ),
        numbers(
            Text(
                "Failures total",
                "short",
                "Requests that the unstable service failed on purpose. Normal: three in ten, "
                "unless its rates were changed. Nothing to do; clients do not notice.",
            ),
            [Query('sum(failures_total{job="unstable"})', "failures")],
            width=4,
        ),
        numbers(
            Text(
                "Delays total",
                "short",
                "Requests that the unstable service delayed on purpose. Normal: three in ten of "
                "those it did not fail. Nothing to do; clients hardly notice.",
            ),
            [Query('sum(delays_total{job="unstable"})', "delays")],
            width=4,
        ),
        numbers(
            Text(
                "Requests in flight",
                "short",
                "Requests that are at a backend now. Normal: about requests per second times "
                "latency. If it only grows, backends have stopped answering.",
            ),
            [Query('sum(balancer_requests_in_flight{job="balancer"})', "in flight")],
            width=4,
        ),
    ),
)

CLIENTS = Row(
    "What clients see (at the balancer)",
    (
        lines(
            Text(
                "Requests per second by status",
                "reqps",
                "Answers that clients got. Normal: 200, and 404 for ids that nobody stored. "
                "5xx: see which part is down below. Empty while NGINX stands in for the balancer.",
            ),
            [
                Query(
                    "sum by (status) "
                    '(rate(balancer_requests_total{job="balancer"}[$__rate_interval]))',
                    "{{status}}",
                )
            ],
            width=12,
            stacked=True,
            colors=STATUS_COLORS,
        ),
        lines(
            Text(
                "Errors and fallbacks",
                "percentunit",
                "Errors: share of client requests answered with 5xx. Normal: 0 %, also while the "
                "external service is down. Fallbacks: share of calls that ended without real data. "
                "Normal: below 10 %; 100 % means that the unstable service is stopped.",
            ),
            [
                Query(
                    "(sum(rate(balancer_requests_total"
                    '{job="balancer",status=~"5.."}[$__rate_interval])) or vector(0)) '
                    f"/ ({CLIENT_REQUESTS})",
                    "errors",
                ),
                Query(
                    '(sum(rate(fallbacks_total{job="app"}[$__rate_interval])) or vector(0)) '
                    f"/ ({CALLS})",
                    "fallbacks",
                ),
            ],
            width=12,
            colors={"errors": BAD, "fallbacks": WARNING},
            no_value="no traffic",
        ),
        lines(
            Text(
                "Client latency",
                "s",
                "Seconds from a request's head to the end of its answer. Normal: p50 some "
                "milliseconds, p99 below 1 s. When p99 grows, look at attempts per call; when "
                "all three grow, at CPU.",
            ),
            [
                Query(f"histogram_quantile({quantile}, {LATENCY})", name)
                for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ],
            width=12,
            no_value="no traffic",
        ),
        lines(
            Text(
                "Requests per second by backend",
                "reqps",
                "How the balancer spreads requests. Normal: equal shares. A backend that gets "
                "none is down or being drained; requests without a backend found none that was up.",
            ),
            [
                Query(
                    "sum by (backend) "
                    '(rate(balancer_requests_total{job="balancer"}[$__rate_interval]))',
                    "backend {{backend}}",
                )
            ],
            width=12,
            stacked=True,
        ),
        up_or_down(
            Text(
                "Backend up",
                "none",
                "Whether each app instance passes the balancer's health checks. Normal: up. A "
                "short gap is a restart; for a long one see `supervisorctl status`.",
            ),
            [
                Query(
                    'max by (backend) (balancer_backend_up{job="balancer"})', "backend {{backend}}"
                )
            ],
            width=12,
        ),
        lines(
            Text(
                "Requests per second by route",
                "reqps",
                "What the app instances are asked for. Normal: health checks and scrapes even when "
                "there is no client. `_OTHER` are paths that do not exist: a client with a typing "
                "error, or a scanner.",
            ),
            [
                Query(
                    'sum by (route) (rate(http_requests_total{job="app"}[$__rate_interval]))',
                    "{{route}}",
                )
            ],
            width=12,
        ),
    ),
)

ANSWERS = Row(
    "How answers are made (the call of the external service)",
    (
        lines(
            Text(
                "How answers were produced",
                "reqps",
                "Calls of the external service by how they ended. Normal: about half at the first "
                "try, most of the rest after retries, few fallbacks. Only fallbacks: the service "
                "is down, `supervisorctl start unstable`.",
            ),
            [
                Query(
                    'sum by (result) (rate(external_calls_total{job="app"}[$__rate_interval]))',
                    "{{result}}",
                )
            ],
            width=8,
            stacked=True,
            colors={"fallback|failed": WARNING},
        ),
        lines(
            Text(
                "Attempts per call",
                "none",
                "How often the external service is asked for one answer. Normal: 1.5 to 2.5 with "
                "the stock rates, 1 when it is healthy. Much more means that retries load a "
                "service that is already ill.",
            ),
            [
                Query(
                    'sum(rate(external_requests_total{job="app"}[$__rate_interval])) '
                    f"/ ({CALLS})",
                    "attempts",
                )
            ],
            width=8,
            no_value="no traffic",
        ),
        lines(
            Text(
                "Failures and delays per second",
                "reqps",
                "What the unstable service does on purpose. Normal: a steady share of its "
                "requests. Nothing while it is stopped.",
            ),
            [
                Query('sum(rate(failures_total{job="unstable"}[$__rate_interval]))', "failures"),
                Query('sum(rate(delays_total{job="unstable"}[$__rate_interval]))', "delays"),
            ],
            width=8,
        ),
    ),
)

STORAGE = Row(
    "Storage",
    (
        lines(
            Text(
                "Keys per shard",
                "short",
                "Records that each shard holds. Normal: nearly equal, growing with traffic until "
                "records expire. A line that ends is a shard that does not answer.",
            ),
            [Query('max by (shard) (redis_keys_total{job="app"})', "{{shard}}")],
            width=12,
        ),
        up_or_down(
            Text(
                "Shard up",
                "none",
                "Whether each shard answers every app instance. Normal: up. Down: the other one "
                "has every record, new ones miss a copy; `supervisorctl start redis1`.",
            ),
            [Query('min by (shard) (redis_shard_up{job="app"})', "{{shard}}")],
            width=12,
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        lines(
            Text(
                "CPU",
                "percentunit",
                "100 % is one core. Normal: follows the traffic. A program that stays at its "
                "number of workers times 100 % is the bottleneck: give it more workers.",
            ),
            [
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "{{instance}}",
                )
            ],
            width=12,
        ),
        lines(
            Text(
                "Memory",
                "bytes",
                "Resident memory of all processes of a program; pages that workers share count "
                "more than once. Normal: flat after the first minutes. Steady growth is a leak.",
            ),
            [Query("sum by (instance) (process_resident_memory_bytes)", "{{instance}}")],
            width=12,
        ),
        numbers(
            Text(
                "Uptime",
                "dtdurations",
                "Time since each program was started; a worker that is replaced does not change "
                "it. Normal: all about the same. A smaller number is a program that was restarted.",
            ),
            [Query("max by (instance) (uptime_seconds)", "{{instance}}")],
            width=24,
            with_names=True,
        ),
    ),
)

OVERVIEW = Board(
    uid="stack-overview",
    title="Overview",
    description="Is the stack answering, how are the answers made, and what does it cost.",
    rows=(NOW, CLIENTS, ANSWERS, STORAGE, PROCESSES),
)
