"""A drill's timeline, drawn with plotly. Pure: a result in, HTML of one figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from plotly import graph_objects as go  # type: ignore[import-untyped]
from plotly import offline, subplots

from .answers import Kind
from .measure import Second
from .results import DrillResult, Mark

COLOURS: dict[Kind, str] = {
    "live": "#2f9e74",
    "read back": "#4c8bf5",
    "fallback": "#e8a33d",
    "stale": "#b7b34a",
    "refused": "#9a6fe0",
    "failed": "#e5484d",
}
NUMBERED = 6  # more events than these have lines only, and are listed below the figure
CONFIG = {"responsive": True, "displayModeBar": False}


def plotly_js() -> str:
    """The library itself, 4.5 MB: what the figures need in a page that stands alone."""
    script: str = offline.get_plotlyjs()
    return script


def timeline(result: DrillResult) -> str:
    """Answers a second by kind, p50 and p99 of each second, and what was done when."""
    figure = subplots.make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.58, 0.42]
    )
    whole = result.seconds[:-1]  # the last one was cut short
    for kind in get_args(Kind):
        if any(kind in second.kinds for second in whole):
            figure.add_trace(_bars(kind, whole), row=1, col=1)
    figure.add_trace(
        _line("p50", [second.times.p50 for second in whole], whole, "#26a7b5", "solid"), 2, 1
    )
    figure.add_trace(
        _line("p99", [second.times.p99 for second in whole], whole, "#d6558f", "dot"), 2, 1
    )
    _shade(figure, result)
    for number, mark in enumerate(result.events, 1):
        _event(figure, number if len(result.events) <= NUMBERED else None, mark)
    figure.update_yaxes(title_text="answers/s", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="ms", type="log", row=2, col=1)
    figure.update_xaxes(title_text="seconds", row=2, col=1)
    figure.update_xaxes(range=[0, whole[-1].at + 1 if whole else 1])
    figure.update_layout(
        barmode="stack",
        bargap=0.05,
        height=420,
        margin={"l": 56, "r": 12, "t": 56, "b": 44},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "inherit", "size": 12},
    )
    html: str = figure.to_html(
        include_plotlyjs=False, full_html=False, config=CONFIG, div_id=f"timeline-{result.name}"
    )
    return html


def _bars(kind: Kind, whole: Sequence[Second]) -> go.Bar:
    return go.Bar(
        name=kind,
        x=[second.at + 0.5 for second in whole],
        y=[second.kinds.get(kind, 0) for second in whole],
        marker={"color": COLOURS[kind], "line": {"width": 0}},
    )


def _line(
    name: str, values: Sequence[float | None], whole: Sequence[Second], colour: str, dash: str
) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[second.at + 0.5 for second in whole],
        y=[None if value is None else value * 1000 for value in values],
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"size": 4},
        hovertemplate="%{y:,.1f} ms",
    )


def _shade(figure: go.Figure, result: DrillResult) -> None:
    """The fault, and the time until it was as good as before."""
    if result.began is None or result.gone is None:
        return
    end = result.seconds[-1].at + 1 if result.recovered is None else result.recovered
    for start, stop, colour in (
        (result.began, result.gone, "#e5484d"), (result.gone, end, "#e8a33d"),
    ):  # fmt: skip
        if stop > start:
            figure.add_vrect(
                x0=start, x1=stop, fillcolor=colour, opacity=0.16, line_width=0, layer="below"
            )


def _event(figure: go.Figure, number: int | None, mark: Mark) -> None:
    figure.add_vline(x=mark.at, line={"width": 1.2, "dash": "dash", "color": "#8a93a0"})
    if number is not None:
        figure.add_annotation(
            x=mark.at, y=1.0, yref="paper", yanchor="top", xanchor="left", text=f"<b>{number}</b>",
            showarrow=False,
        )  # fmt: skip
