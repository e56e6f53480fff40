"""A dashboard: rows of panels, and what all dashboards of the stack have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from . import sdk
from .panels import DATASOURCE, Panel


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """`uid` names the dashboard in links and its file; it must never change."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]


def to_json(board: Board) -> str:
    """The dashboard as Grafana loads it, the same text every time."""
    builder = (
        sdk.dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["stack"])
        .readonly()
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(sdk.models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            sdk.dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .annotation(_starts())
    )
    number = 0
    for row in board.rows:
        number += 1
        builder.with_row(sdk.dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            builder.with_panel(panel.id(number))
    return json.dumps(builder.build(), cls=sdk.JSONEncoder, sort_keys=True, indent=2) + "\n"


def _starts() -> sdk.dashboard.AnnotationQuery:
    """A vertical line wherever a program started: many a bend in a curve is explained by one."""
    return (
        sdk.dashboard.AnnotationQuery()
        .name("Program starts")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("purple")
        .expr("process_start_time_seconds * 1000")
        .use_value_for_time(True)
        .title_format("{{instance}} started")
        .step("5s")
    )
