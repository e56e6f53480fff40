"""Runs every query of a dashboard the way Grafana does, and says which ones show nothing.

found = problems("http://127.0.0.1:9090", json.loads(path.read_text()))
assert not found, "\\n".join(map(str, found))
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

Dashboard = dict[str, Any]


@dataclass(frozen=True)
class PanelQuery:
    """One query of a panel (or annotation), as it is written in the dashboard."""

    panel: str
    expr: str
    legend: str


@dataclass(frozen=True)
class Problem:
    query: PanelQuery
    reason: str

    def __str__(self) -> str:
        return f"{self.query.panel}: {self.reason}: {self.query.expr}"


def queries(dashboard: Dashboard) -> Iterator[PanelQuery]:
    """Every query of every panel, those in collapsed rows too, and of the annotations."""
    panels = list(dashboard["panels"])
    while panels:
        panel = panels.pop(0)
        panels = [*panel.get("panels", []), *panels]
        for target in panel.get("targets", []):
            yield PanelQuery(panel["title"], target["expr"], target["legendFormat"])
    for annotation in dashboard["annotations"]["list"]:
        yield PanelQuery(annotation["name"], annotation["expr"], annotation["titleFormat"])


def problems(
    prometheus_url: str,
    dashboard: Dashboard,
    *,
    scrape_seconds: float = 5.0,
    past_seconds: float = 120.0,
) -> list[Problem]:
    """What is wrong with the results; empty when every query draws something.

    Args:
        scrape_seconds: Prometheus' scrape interval; `$__rate_interval` follows from it.
        past_seconds: how far the dashboard looks back from now.

    A NaN is a gap (no traffic at that time, a quantile of nothing) and is fine as long as each
    line has points; an infinite value never is.
    """
    found = []
    for query in queries(dashboard):
        try:
            lines = query_range(prometheus_url, query.expr, scrape_seconds, past_seconds)
        except QueryError as error:
            found.append(Problem(query, str(error)))
            continue
        found += [Problem(query, reason) for reason in _faults(query, lines)]
    return found


def settled_problems(
    prometheus_url: str, dashboard: Dashboard, *, seconds: float, scrape_seconds: float = 5.0
) -> list[Problem]:
    """As `problems`, asked again until there are none or the time is up: a rate needs scrapes."""
    deadline = time.monotonic() + seconds
    while True:
        found = problems(prometheus_url, dashboard, scrape_seconds=scrape_seconds)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


class QueryError(Exception):
    """Prometheus does not answer, or refuses the query."""


def substitute(expr: str, scrape_seconds: float) -> str:
    """The expression with Grafana's variables as Grafana fills them in at the finest step."""
    step = scrape_seconds
    rate_interval = max(step + scrape_seconds, 4 * scrape_seconds)
    expr = expr.replace("$__rate_interval", f"{rate_interval:g}s")
    return expr.replace("$__interval", f"{step:g}s")


def query_range(
    prometheus_url: str, expr: str, scrape_seconds: float, past_seconds: float
) -> list[dict[str, Any]]:
    """The lines that a panel would draw now, in Prometheus' form. Raises QueryError."""
    now = time.time()
    form = {
        "query": substitute(expr, scrape_seconds),
        "start": now - past_seconds,
        "end": now,
        "step": scrape_seconds,
    }
    url = f"{prometheus_url.rstrip('/')}/api/v1/query_range"
    try:
        with urllib.request.urlopen(
            url, urllib.parse.urlencode(form).encode(), timeout=30
        ) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            raise QueryError(error.read().decode(errors="replace").strip()) from None
    except OSError as error:
        raise QueryError(f"{url} does not answer ({error})") from None
    if answer["status"] != "success":
        raise QueryError(answer.get("error", "no success"))
    lines: list[dict[str, Any]] = answer["data"]["result"]
    return lines


def _faults(query: PanelQuery, lines: list[dict[str, Any]]) -> Iterator[str]:
    if not lines:
        yield "no data"
    for line in lines:
        values = [float(text) for _time, text in line["values"]]
        if not any(isfinite(value) for value in values):
            yield f"no finite value in {line['metric']}"
        elif not all(isfinite(value) or isnan(value) for value in values):
            yield f"an infinite value in {line['metric']}"
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", query.legend):
            if label not in line["metric"]:
                yield f"the legend names {label}, which {line['metric']} does not have"
