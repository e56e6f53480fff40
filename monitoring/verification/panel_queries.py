"""The queries of a dashboard's panels, and what Grafana's answers to them mean. Pure.

The form of both: https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/data_source/
(`POST /api/ds/query`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MOST_POINTS = 500  # of a line, as a panel of that many pixels asks for
_STEP_MILLISECONDS = 5000


@dataclass(frozen=True)
class Panel:
    """A panel that asks something; `expressions` by the name of the query, A, B, …"""

    title: str
    expressions: Mapping[str, str]


def panels(dashboard: Mapping[str, Any]) -> Iterator[Panel]:
    """Every panel with queries, those in collapsed rows too."""
    waiting = list(dashboard.get("panels", ()))
    while waiting:
        panel = waiting.pop(0)
        waiting = [*panel.get("panels", ()), *waiting]
        asked = {target["refId"]: target["expr"] for target in panel.get("targets", ())}
        if asked:
            yield Panel(panel["title"], asked)


def query(panel: Panel, datasource: str, minutes: float) -> dict[str, Any]:
    """What a browser sends to draw the panel.

    Args:
        datasource: the uid that stands for the dashboard's variable.
        minutes: how far it looks back.
    """
    return {
        "from": f"now-{minutes:g}m",
        "to": "now",
        "queries": [
            {
                "refId": name,
                "expr": expression,
                "datasource": {"type": "prometheus", "uid": datasource},
                "range": True,
                "instant": False,
                "intervalMs": _STEP_MILLISECONDS,
                "maxDataPoints": _MOST_POINTS,
            }
            for name, expression in panel.expressions.items()
        ],
    }


def error_in(answer: Mapping[str, Any], name: str) -> str:
    """Why a query failed, "" when it did not."""
    results = answer.get("results")
    if not isinstance(results, Mapping):
        return str(answer.get("message") or "the answer has no results")
    result = results.get(name)
    if not isinstance(result, Mapping):
        return "the answer leaves it out"
    return str(result.get("error") or "")


def has_data(answer: Mapping[str, Any], name: str) -> bool:
    """Whether a query that did not fail brought a number. Those that are none come as null."""
    for frame in answer["results"][name].get("frames") or ():
        kinds = [field.get("type") for field in frame["schema"]["fields"]]
        for kind, values in zip(kinds, frame["data"]["values"], strict=False):
            if kind == "number" and any(value is not None for value in values):
                return True
    return False
