"""Processes: what each program uses, who was restarted, and how work spreads over workers."""

from __future__ import annotations

from .board import Board, Row
from .panels import Query, Text, lines, numbers, up_or_down

USE = Row(
    "What each program uses",
    (
        lines(
            Text(
                "CPU of each program",
                "percentunit",
                "100 % is one core. Normal: follows the traffic. All programs together near the "
                "machine's cores: it is full, more workers will not help.",
            ),
            [
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "{{instance}}",
                )
            ],
            width=8,
        ),
        lines(
            Text(
                "Memory of each program",
                "bytes",
                "Resident memory of all processes of a program; shared pages count more than "
                "once. Normal: flat after the first minutes. Steady growth is a leak.",
            ),
            [Query("sum by (instance) (process_resident_memory_bytes)", "{{instance}}")],
            width=8,
        ),
        lines(
            Text(
                "Open files",
                "short",
                "Open file descriptors, connections included. Normal: follows the number of "
                "connections. Growth without traffic is a leak; the limit is `ulimit -n`.",
            ),
            [Query("sum by (instance) (process_open_fds)", "{{instance}}")],
            width=8,
        ),
        lines(
            Text(
                "Connections of the balancer",
                "short",
                "Open connections of clients and to backends, and WebSocket tunnels. Normal: far "
                "fewer to backends than of clients. Clients that only grow do not hang up.",
            ),
            [
                Query(
                    'sum by (side) (balancer_connections{job="balancer"})',
                    "{{side}}",
                ),
                Query('sum(balancer_tunnels{job="balancer"})', "tunnels"),
            ],
            width=12,
        ),
        lines(
            Text(
                "Clients that went away",
                "cps",
                "Clients that hung up before their answer was complete. Normal: 0. Many of them "
                "mean that answers come too late: see the latency on the overview.",
            ),
            [
                Query(
                    "sum(rate(balancer_client_disconnects_total"
                    '{job="balancer"}[$__rate_interval]))',
                    "went away",
                )
            ],
            width=12,
        ),
    ),
)

LIFE = Row(
    "Who runs, and since when",
    (
        up_or_down(
            Text(
                "Program answers",
                "none",
                "Whether each program answers Prometheus. Normal: up. Down: `supervisorctl "
                "status` says what became of it, and its log is in var/log.",
            ),
            [Query("max by (instance) (up)", "{{instance}}")],
            width=12,
        ),
        lines(
            Text(
                "Workers replaced",
                "cps",
                "Workers that ended or were replaced, by reason. Normal: 0, recycle and reload as "
                "asked for. Crash or hang: the program's log in var/log has the reason.",
            ),
            [
                Query(
                    "sum by (instance, reason) "
                    '(rate(worker_restarts_total{job="app"}[$__rate_interval]))',
                    "{{instance}} {{reason}}",
                )
            ],
            width=12,
        ),
        numbers(
            Text(
                "Workers ready",
                "none",
                "Workers that take requests. Normal: one per CPU in each app instance unless "
                "APP_WORKERS says otherwise. Fewer for long: the log in var/log says why.",
            ),
            [Query('sum by (instance) (workers{state="ready"})', "{{instance}}")],
            width=12,
            with_names=True,
        ),
        numbers(
            Text(
                "Builds",
                "none",
                "Programs that run each version. Normal: one version. Two of them: some programs "
                "were not restarted after an update; `make down && make up`.",
            ),
            [
                Query(
                    "count by (version, python) (stack_build_info)",
                    "{{version}} (Python {{python}})",
                )
            ],
            width=12,
            with_names=True,
        ),
    ),
)

WORK = Row(
    "How work spreads",
    (
        lines(
            Text(
                "Requests by worker",
                "reqps",
                "Requests a second that each worker answered. Normal: even within an instance. "
                "One at 0 is stopped or hangs; it is replaced within seconds.",
            ),
            [
                Query(
                    "sum by (instance, slot) "
                    '(rate(worker_requests_total{job="app"}[$__rate_interval]))',
                    "{{instance}} {{slot}}",
                )
            ],
            width=12,
        ),
        lines(
            Text(
                "Time to answer a scrape",
                "s",
                "Seconds that each program took to answer Prometheus. Normal: a few hundredths. "
                "Long ones mean that the program or the whole machine is too busy.",
            ),
            [Query("max by (instance) (scrape_duration_seconds)", "{{instance}}")],
            width=12,
        ),
    ),
)

PROCESSES = Board(
    uid="stack-processes",
    title="Processes",
    description="What each program uses, who was restarted, and how work spreads over workers.",
    rows=(USE, LIFE, WORK),
)
