"""Resilience: what the app does about the external service, and the balancer about the apps."""

from __future__ import annotations

from .board import Board, Row
from .panels import BAD, GOOD, WARNING, Query, Text, lines, up_or_down

ATTEMPT_LATENCY = (
    'sum by (le) (rate(external_request_duration_seconds_bucket{job="app"}[$__rate_interval]))'
)


def app_rate(name: str, label: str) -> Query:
    return Query(
        f'sum by ({label}) (rate({name}{{job="app"}}[$__rate_interval]))', f"{{{{{label}}}}}"
    )


def balancer_rate(name: str, label: str) -> Query:
    expr = f'sum by ({label}) (rate({name}{{job="balancer"}}[$__rate_interval]))'
    return Query(expr, f"{{{{{label}}}}}")


def balancer_now(name: str, how: str = "max") -> Query:
    return Query(f'{how} by (backend) ({name}{{job="balancer"}})', "{{backend}}")


EXTERNAL = Row(
    "The external service, as the app sees it",
    (
        lines(
            Text(
                "Answers by source",
                "reqps",
                "Where the data of the answers is from. Normal: live. stale or fallback: it "
                "gave nothing in time; `supervisorctl status unstable` says whether it runs.",
            ),
            [app_rate("answers_total", "source")],
            width=12,
            stacked=True,
            colors={"^live": GOOD},
        ),
        lines(
            Text(
                "Fallbacks by reason",
                "reqps",
                "Why answers were made without the external service. Normal: near 0. breaker_open: "
                "it is given up for now; deadline: it is slow; look at the attempts below.",
            ),
            [app_rate("fallbacks_total", "reason")],
            width=12,
            stacked=True,
        ),
        lines(
            Text(
                "Attempts by outcome",
                "reqps",
                "How attempts at the external service ended. Normal: mostly ok, and its share of "
                "failures on purpose. Only connect errors: it is stopped, start it again.",
            ),
            [app_rate("external_requests_total", "outcome")],
            width=12,
            stacked=True,
            colors={"^ok": GOOD},
        ),
        lines(
            Text(
                "Attempt latency",
                "s",
                "Seconds that one attempt took. Normal: as slow as the service was told to be. "
                "When it grows, hedges are started later; calls still end at their deadline.",
            ),
            [
                Query(f"histogram_quantile({quantile}, {ATTEMPT_LATENCY})", name)
                for quantile, name in ((0.5, "median"), (0.95, "95 %"), (0.99, "99 %"))
            ],
            width=12,
            no_value="no traffic",
        ),
        lines(
            Text(
                "Retries by reason",
                "reqps",
                "Attempts made after a failure. Normal: about the service's failure rate times "
                "the calls. 0 while it fails: the budget is used up or the breaker is open.",
            ),
            [app_rate("external_retries_total", "reason")],
            width=8,
        ),
        lines(
            Text(
                "Hedges and probes",
                "reqps",
                "Hedges are attempts beside a slow one, probes try out a service given up. "
                "Normal: hedges follow its delays, probes are 0. Probes end when it is back.",
            ),
            [
                Query('sum(rate(external_hedges_total{job="app"}[$__rate_interval]))', "hedges"),
                Query('sum(rate(external_probes_total{job="app"}[$__rate_interval]))', "probes"),
            ],
            width=8,
        ),
        lines(
            Text(
                "Hedge delay",
                "s",
                "Silence after which an attempt is started beside the last, from the latency seen "
                "lately. Normal: a few times the usual latency. At its upper bound: all is slow.",
            ),
            [Query('max by (instance) (external_hedge_delay_seconds{job="app"})', "{{instance}}")],
            width=8,
        ),
        lines(
            Text(
                "Breaker",
                "none",
                "Of the whole box: 0 closed, 1 open, 2 half open, 3 ramping. Normal: 0. Open: the "
                "service fails or is stopped; start it and the breaker closes by itself.",
            ),
            [Query('max(external_breaker_state{job="app"})', "state")],
            width=12,
            colors={"^state": WARNING},
        ),
        lines(
            Text(
                "Faults injected",
                "reqps",
                "What the unstable service did on purpose, by kind. Normal: the rates it was "
                "started with. Nothing to do: this is the cause, the panels above are the effect.",
            ),
            [
                Query(
                    'sum by (kind) (rate(faults_total{job="unstable"}[$__rate_interval]))',
                    "{{kind}}",
                )
            ],
            width=12,
        ),
    ),
)

LIMITS = Row(
    "Limits of the app",
    (
        lines(
            Text(
                "App requests and their limit",
                "short",
                "Requests worked on now, and how many may be. Normal: far below the limit. At the "
                "limit, more are refused at once: the machine is too small for the load.",
            ),
            [
                Query('sum(http_requests_in_flight{job="app"})', "in flight"),
                Query('sum(http_requests_limit{job="app"})', "limit"),
            ],
            width=12,
        ),
        lines(
            Text(
                "App requests refused",
                "reqps",
                "Requests that an app instance refused at once with 503. Normal: 0. Otherwise "
                "there is too much load, or the external service holds requests up.",
            ),
            [Query('sum(rate(http_requests_shed_total{job="app"}[$__rate_interval]))', "refused")],
            width=12,
            colors={"^refused": BAD},
        ),
    ),
)

BALANCER = Row(
    "The balancer and its backends",
    (
        up_or_down(
            Text(
                "Backend passes its checks",
                "none",
                "Whether each backend passes its health checks. Normal: up. Down for long: look "
                "at the log of its program in var/log and start it again.",
            ),
            [balancer_now("balancer_backend_up")],
            width=12,
        ),
        lines(
            Text(
                "Backends out or draining",
                "none",
                "1 while a backend is ejected because requests failed, or drains. Normal: 0. An "
                "ejection ends by itself; if it comes back, read the errors beside it.",
            ),
            [
                Query(
                    'max by (backend) (balancer_backend_ejected{job="balancer"}) '
                    '+ max by (backend) (balancer_backend_draining{job="balancer"})',
                    "{{backend}}",
                )
            ],
            width=12,
        ),
        lines(
            Text(
                "Ejections",
                "cps",
                "How often backends were taken out because requests to them failed. Normal: 0. A "
                "backend that is ejected again and again is broken: restart it.",
            ),
            [balancer_rate("balancer_ejections_total", "backend")],
            width=8,
        ),
        lines(
            Text(
                "Upstream errors",
                "reqps",
                "Attempts at a backend that brought no usable answer, by kind. Normal: 0, but for "
                "moments in which a worker or an instance is killed. Clients see few of them.",
            ),
            [balancer_rate("balancer_upstream_errors_total", "kind")],
            width=8,
        ),
        lines(
            Text(
                "Retries at a second backend",
                "reqps",
                "Requests tried at another backend, by what went wrong at the first. Normal: 0, "
                "and a short rise when something is killed. If it stays, see the errors.",
            ),
            [balancer_rate("balancer_retries_total", "reason")],
            width=8,
        ),
        lines(
            Text(
                "Retry budget",
                "short",
                "Retries that may be made now, and the rate of those that were not made. Normal: "
                "some left, none refused. Without budget, errors reach clients: mend the apps.",
            ),
            [
                Query('sum(balancer_retry_budget_left{job="balancer"})', "left"),
                Query(
                    "sum(rate(balancer_retry_budget_exhausted_total"
                    '{job="balancer"}[$__rate_interval]))',
                    "not made per second",
                ),
            ],
            width=12,
        ),
        lines(
            Text(
                "Turned away by the balancer",
                "reqps",
                "Requests and connections turned away because there were too many. Normal: 0. "
                "Otherwise clients ask for more than the backends can do.",
            ),
            [balancer_rate("balancer_shed_total", "reason")],
            width=12,
        ),
        lines(
            Text(
                "Limit of each backend",
                "short",
                "Requests that a backend may have at once; it falls while work waits there for "
                "the CPU. Normal: well above what is in flight. Low: the backend is overloaded.",
            ),
            [balancer_now("balancer_backend_limit", "sum")],
            width=8,
        ),
        lines(
            Text(
                "In flight at each backend",
                "short",
                "Requests now at each backend. Normal: even, in proportion to the weights. One "
                "that only grows has stopped answering: its checks will take it out.",
            ),
            [balancer_now("balancer_requests_in_flight", "sum")],
            width=8,
        ),
        lines(
            Text(
                "Health checks",
                "cps",
                "Active health checks by result. Normal: as many good ones a second as there are "
                "backends. Bad ones: a backend is stopped, draining or hangs.",
            ),
            [balancer_rate("balancer_health_checks_total", "result")],
            width=8,
        ),
    ),
)

RESILIENCE = Board(
    uid="stack-resilience",
    title="Resilience",
    description="What is done about failures: retries, hedges, breaker, limits, ejections.",
    rows=(EXTERNAL, LIMITS, BALANCER),
)
