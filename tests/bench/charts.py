"""From results to what page.js draws. Pure."""

from __future__ import annotations

from typing import Any

from .figures import Spread, shown
from .results import Chart, Result, Row

_COLOURS = ("--c1", "--c2", "--c3", "--c4", "--c5")
_LOG_FROM = 40.0  # largest over smallest value; below it bars from zero can be compared by eye


def drawn(result: Result, chart: Chart) -> dict[str, Any] | None:
    """None when there is nothing to draw."""
    places = result.cases if chart.by == "case" else result.contenders
    names = result.contenders if chart.by == "case" else result.cases
    rows = {
        (row.case, row.contender) if chart.by == "case" else (row.contender, row.case): row
        for row in result.rows
    }
    series = []
    for name in names:
        points = [(place, rows[place, name]) for place in places if (place, name) in rows]
        if one := _series(result, chart, name, points):
            series.append({**one, "colour": _colour(names, name, result.baseline)})
    values = [value for one in series for value in one["y"]]
    if not values:
        return None
    log = chart.kind == "values" and min(values) > 0 and max(values) > _LOG_FROM * min(values)
    unit = "times" if chart.kind == "ratios" else result.metric(chart.metric).unit
    return {
        "kind": "lines" if chart.kind == "lines" else "bars",
        "series": series,
        "log": log,
        "line": 1.0 if chart.kind == "ratios" else None,
        **_ticks(values, unit, log),
    }


def _series(
    result: Result, chart: Chart, name: str, points: list[tuple[str, Row]]
) -> dict[str, Any] | None:
    metric = result.metric(chart.metric)
    found: list[tuple[str, Spread, str]] = []
    for place, row in points:
        absolute = row.spread(metric.key)
        compared = result.ratio(row, metric)
        drawn_value = compared if chart.kind == "ratios" else absolute
        if absolute is None or drawn_value is None:
            continue
        told = shown(absolute.median, metric.unit)
        if compared is not None:
            told += f", {shown(compared.median, 'times')} {result.baseline}"
        found.append((place, drawn_value, told))
    if not found:
        return None
    return {
        "name": name,
        "x": [place for place, _, _ in found],
        "y": [value.median for _, value, _ in found],
        "above": [value.high - value.median for _, value, _ in found],
        "below": [value.median - value.low for _, value, _ in found],
        "text": [told for _, _, told in found],
    }


def _colour(names: list[str], name: str, baseline: str) -> str:
    """The same in all charts of a result; ours stands out, the baseline is grey."""
    if name == "ours":
        return "--ours"
    if name == baseline:
        return "--base"
    others = [other for other in names if other not in ("ours", baseline)]
    return _COLOURS[others.index(name) % len(_COLOURS)]


def _ticks(values: list[float], unit: str, log: bool) -> dict[str, Any]:
    """Places on the axis, named in their unit: plotly would write 20µ or 50M."""
    if log:
        places = [10.0**power for power in range(-7, 12)]
        places = [at for at in places if min(values) / 10 < at < max(values) * 10]
    else:
        scale = 2**20 if unit == "bytes" else 1
        step = _round_step(max(values) / 4 / scale) * scale
        places = [round(step * number, 12) for number in range(7)]
    return {"tickvals": places, "ticktext": [shown(at, unit) if at else "0" for at in places]}


def _round_step(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not below `value`."""
    power = 1e-12
    while power * 10 <= value:
        power *= 10
    return next((power * times for times in (1, 2, 5, 10) if power * times >= value), power * 10)
