"""Storage: the shards, the copies of records, and how long operations take."""

from __future__ import annotations

from .board import Board, Row
from .panels import BAD, GOOD, WARNING, Query, Text, lines, up_or_down

LATENCY = (
    "sum by (le, shard) "
    '(rate(redis_operation_duration_seconds_bucket{job="app"}[$__rate_interval]))'
)

SHARDS = Row(
    "Shards",
    (
        up_or_down(
            Text(
                "Shard answers",
                "none",
                "Whether each shard answers the app. Normal: up. Down: every record has a copy "
                "elsewhere, new ones miss one; `supervisorctl start redis1` brings it back.",
            ),
            [Query('max by (shard) (redis_shard_up{job="app"})', "{{shard}}")],
            width=6,
        ),
        up_or_down(
            Text(
                "Shard takes writes",
                "none",
                "Whether each shard takes new records. Normal: up. Down while it answers: it is "
                "full, read-only or cannot write its disk; `python -m shards status` says which.",
            ),
            [Query('min by (shard) (redis_shard_takes_writes{job="app"})', "{{shard}}")],
            width=6,
        ),
        lines(
            Text(
                "Records per shard",
                "short",
                "Records that each shard holds, its copies of others' included. Normal: about the "
                "same in all. A gap is a shard that did not answer; a step down is lost data.",
            ),
            [Query('max by (shard) (redis_keys_total{job="app"})', "{{shard}}")],
            width=12,
        ),
    ),
)

COPIES = Row(
    "Copies and healing",
    (
        lines(
            Text(
                "Records written",
                "wps",
                "What became of records: replicated, degraded (a copy is missing for now) or "
                "none. Normal: replicated. None is told to the client: start the shards.",
            ),
            [
                Query(
                    'sum by (stored) (rate(store_writes_total{job="app"}[$__rate_interval]))',
                    "{{stored}}",
                )
            ],
            width=8,
            stacked=True,
            colors={"^replicated": GOOD, "^degraded": WARNING, "^none": BAD},
        ),
        lines(
            Text(
                "Copies missing",
                "short",
                "Records that a shard lacks and others keep for it, and those to be looked at yet "
                "after it lost its disk. Normal: 0. It grows while the shard is down and falls to "
                "0 once it is back; if it stays, see the app's log.",
            ),
            [
                Query('max by (shard) (store_hints{job="app"})', "{{shard}}"),
                Query(
                    'max by (shard) (store_scan_records_expected{job="app"}'
                    ' - store_scan_records{job="app"})',
                    "{{shard}}, to look at",
                ),
            ],
            width=8,
        ),
        lines(
            Text(
                "Copies made good",
                "wps",
                "Missing copies made, by how they were found: hint, scan or read. Normal: 0, and "
                "a burst after a shard came back. Nothing to do: this is the healing.",
            ),
            [
                Query(
                    'sum by (why) (rate(store_copies_made_total{job="app"}[$__rate_interval]))',
                    "{{why}}",
                )
            ],
            width=8,
        ),
    ),
)

OPERATIONS = Row(
    "Operations, as the app sees them",
    (
        lines(
            Text(
                "Operations by shard",
                "ops",
                "Operations a second on each shard. Normal: about the same on all. One that gets "
                "none while the others do is given up for now: see whether it answers.",
            ),
            [
                Query(
                    'sum by (shard) (rate(redis_operations_total{job="app"}[$__rate_interval]))',
                    "{{shard}}",
                )
            ],
            width=8,
        ),
        lines(
            Text(
                "Operations by result",
                "ops",
                "How operations ended, by shard. Normal: ok. Anything else is a shard that is "
                "stopped, frozen or full: its log is var/log/redis1.log or redis2.log.",
            ),
            [
                Query(
                    "sum by (shard, result) "
                    '(rate(redis_operations_total{job="app"}[$__rate_interval]))',
                    "{{shard}} {{result}}",
                )
            ],
            width=8,
        ),
        lines(
            Text(
                "Operation latency (99 %)",
                "s",
                "One operation in a hundred takes longer. Normal: a few milliseconds. When it "
                "grows on one shard only, that shard is slow; on all, the machine is busy.",
            ),
            [Query(f"histogram_quantile(0.99, {LATENCY})", "{{shard}}")],
            width=8,
            no_value="no traffic",
        ),
    ),
)

STORAGE = Board(
    uid="stack-storage",
    title="Storage",
    description="Do the shards answer, does every record have its copies, how fast is it.",
    rows=(SHARDS, COPIES, OPERATIONS),
)
