"""The three kinds of panel of our dashboards, in one look.

Every panel has a title, a unit and a description that says what is normal and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import sdk

# The user chooses the data source at the top of the dashboard; provisioning makes one.
DATASOURCE = sdk.common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")

Panel = sdk.timeseries.Panel | sdk.stat.Panel | sdk.statetimeline.Panel

GOOD, WARNING, BAD, NEUTRAL = "green", "orange", "red", "blue"


@dataclass(frozen=True)
class Query:
    """PromQL and the name of each line; `{{label}}` must be a label that the query keeps."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Text:
    """What a panel says in words. `unit` is an id of Grafana's, see `sdk.units`."""

    title: str
    unit: str
    description: str


def lines(
    text: Text,
    queries: Sequence[Query],
    *,
    width: int,
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
    no_value: str = "no data",
) -> Panel:
    """Values over time.

    Args:
        colors: a regular expression for the line's name -> its colour.
        no_value: shown when there is nothing to draw.
    """
    panel = (
        sdk.timeseries.Panel()
        .legend(
            sdk.common.VizLegendOptions()
            .display_mode(sdk.common_models.LegendDisplayMode.LIST)
            .placement(sdk.common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            sdk.common.VizTooltipOptions()
            .mode(sdk.common_models.TooltipDisplayMode.MULTI)
            .sort(sdk.common_models.SortOrder.DESCENDING)
        )
        .show_points(sdk.common_models.VisibilityMode.NEVER)
        .line_width(1)
        .fill_opacity(30 if stacked else 8)
        .axis_soft_min(0)
        .color_scheme(_color_mode(sdk.models.FieldColorModeId.PALETTE_CLASSIC))
        .height(8)
    )
    if stacked:
        mode = sdk.common_models.StackingMode.NORMAL
        panel.stacking(sdk.common.StackingConfig().mode(mode).group("A"))
    for name, color in (colors or {}).items():
        fixed = {"mode": "fixed", "fixedColor": color}
        panel.override_by_regexp(name, [sdk.models.DynamicConfigValue("color", fixed)])
    return _described(panel, text, queries, width=width, no_value=no_value)


def numbers(
    text: Text,
    queries: Sequence[Query],
    *,
    width: int,
    bad_from: float | None = None,
    with_names: bool = False,
    no_value: str = "no data",
) -> Panel:
    """The latest values, large, over a small picture of their past.

    Args:
        bad_from: red from this value on, green below; without it there is no good or bad.
        with_names: more than one value, each under its legend.
    """
    steps = [sdk.models.Threshold(None, NEUTRAL)]
    if bad_from is not None:
        steps = [sdk.models.Threshold(None, GOOD), sdk.models.Threshold(bad_from, BAD)]
    mode = sdk.common_models.BigValueTextMode
    panel = (
        sdk.stat.Panel()
        .reduce_options(sdk.common.ReduceDataOptions().values(False).calcs(["lastNotNull"]))
        .thresholds(
            sdk.dashboard.ThresholdsConfig().mode(sdk.models.ThresholdsMode.ABSOLUTE).steps(steps)
        )
        .graph_mode(sdk.common_models.BigValueGraphMode.AREA)
        .color_scheme(_color_mode(sdk.models.FieldColorModeId.THRESHOLDS))
        .text_mode(mode.VALUE_AND_NAME if with_names else mode.VALUE)
        .height(4)
    )
    return _described(panel, text, queries, width=width, no_value=no_value)


def up_or_down(text: Text, queries: Sequence[Query], *, width: int) -> Panel:
    """A coloured band per series, for values that are 1 (up) or 0 (down)."""
    panel = (
        sdk.statetimeline.Panel()
        .mappings(
            [
                sdk.models.ValueMap(
                    {
                        "0": sdk.models.ValueMappingResult(text="down", color=BAD, index=0),
                        "1": sdk.models.ValueMappingResult(text="up", color=GOOD, index=1),
                    }
                )
            ]
        )
        .legend(sdk.common.VizLegendOptions().show_legend(False))
        .merge_values(True)
        .show_value(sdk.common_models.VisibilityMode.AUTO)
        .fill_opacity(70)
        .height(8)
    )
    return _described(panel, text, queries, width=width, no_value="no data")


def _color_mode(mode: sdk.models.FieldColorModeId) -> sdk.dashboard.FieldColor:
    return sdk.dashboard.FieldColor().mode(mode)


def _described(
    panel: Panel, text: Text, queries: Sequence[Query], *, width: int, no_value: str
) -> Panel:
    panel.title(text.title).description(text.description).unit(text.unit).span(width)
    panel.datasource(DATASOURCE).no_value(no_value)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(
            sdk.prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend)
            .ref_id(letter)
            .datasource(DATASOURCE)
            .range()
        )
    return panel
