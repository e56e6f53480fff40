"""`python -m monitoring.reference`: write monitoring/README.md from the catalogue and the alerts.

A test fails when the file is not what this makes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from .catalogue import METRICS, Metric

FILE = Path(__file__).parent / "README.md"
ALERTS = Path(__file__).parent / "prometheus" / "alerts.yml"

# Title -> how the names of its metrics begin; what begins with none of these is everybody's.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Every program": (),
    "App, unstable and console": (
        "http_requests_total", "http_request_duration_", "http_requests_in_flight",
    ),
    "Worker pools (app, balancer)": ("workers", "worker_"),
    "App and unstable": ("requests_",),
    "App: the call of the external service": (
        "external_", "answers_", "fallbacks_", "http_requests_shed_", "http_requests_limit",
    ),
    "App: the store": ("redis_", "store_"),
    "Balancer": ("balancer_",),
    "The service that fails on purpose": ("failures_", "delays_", "faults_", "fault_rate"),
}  # fmt: skip

_ALERT = re.compile(
    r"- alert: (?P<name>\w+)\n(?:.*\n)*?.*severity: (?P<severity>\w+)\}\n"
    r".*\n\s+summary: (?P<summary>.*)\n"
)

_HEAD = """\
# Metrics and alerts

Written by `python -m monitoring.reference` from [catalogue.py](catalogue.py) and
[prometheus/alerts.yml](prometheus/alerts.yml): change those.

- Every program answers `GET /metrics` in Prometheus' text format. An app instance or the balancer
  answers with the totals of all its workers, whichever worker is asked. Totals go on when a worker
  is killed, recycled or replaced.
- Through the front door (or with `?scope=fleet`) an app instance answers with the totals of all
  instances.
- Labels are bounded: `route` is a template (`/data/:id`), an unknown method or route is `_OTHER`.
- Known series are there with 0 before the first event, so the first one is seen as a rise.
- Gauges of several workers are added up; *max* and *min* stand where all report the same fact.
"""


def document() -> str:
    """The text of monitoring/README.md."""
    return "\n".join((_HEAD, *_sections(), *_alerts()))


def section_of(metric: Metric) -> str:
    for title, prefixes in SECTIONS.items():
        if prefixes and metric.name.startswith(prefixes):
            return title
    return next(iter(SECTIONS))


def _sections() -> Iterator[str]:
    for title in SECTIONS:
        yield f"## {title}\n"
        yield "| Metric | Type | Labels | Meaning |"
        yield "|---|---|---|---|"
        yield from (_line(metric) for metric in METRICS if section_of(metric) == title)
        yield ""
    for bounds, names in _buckets().items():
        listed = ", ".join(f"`{name}`" for name in names)
        yield f"Buckets of {listed}: {', '.join(f'{bound:g}' for bound in bounds)} seconds.\n"


def _line(metric: Metric) -> str:
    kind = "untyped" if metric.kind == "unknown" else metric.kind
    merged = "" if metric.merge == "sum" else f", {metric.merge}"
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {kind}{merged} | {labels} | {metric.help} |"


def _buckets() -> dict[tuple[float, ...], list[str]]:
    found: dict[tuple[float, ...], list[str]] = {}
    for metric in METRICS:
        if metric.buckets:
            found.setdefault(metric.buckets, []).append(metric.name)
    return found


def _alerts() -> Iterator[str]:
    yield "## Alerts\n"
    yield "| Alert | Severity | Says |"
    yield "|---|---|---|"
    for alert in _ALERT.finditer(ALERTS.read_text()):
        yield f"| `{alert['name']}` | {alert['severity']} | {alert['summary']} |"
    yield ""


@click.command(help="Write the reference of metrics and alerts, monitoring/README.md.")
@click.option(
    "--into",
    type=click.Path(dir_okay=False, path_type=Path),
    default=FILE,
    help="The file.",
    show_default="monitoring/README.md",
)
def main(into: Path) -> None:
    try:
        into.write_text(document())
    except OSError as error:
        sys.exit(f"the reference cannot be written: {error}")
    click.echo(into)


if __name__ == "__main__":
    main()
