"""What a measurement brings: metrics, rows of samples, and what was not measured. Pure.

A row is one contender at one case. Samples of a metric stand in the order of the rounds, so the
n-th of every contender were taken one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .figures import Spread, ratio, spread

Better = Literal["more", "less", "neither"]


@dataclass(frozen=True, slots=True)
class Metric:
    """`compared`: shown as a ratio to the baseline as well."""

    key: str
    label: str
    unit: str = "count"  # count, seconds, bytes, share, times
    better: Better = "neither"
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """How one metric is drawn: bars of ratios or values, or lines over the cases.

    `by`: what stands on the axis; the other one is the colour.
    """

    metric: str
    kind: Literal["ratios", "values", "lines"]
    title: str
    by: Literal["case", "contender"] = "case"


@dataclass
class Row:
    case: str
    contender: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)

    @property
    def why_invalid(self) -> str:
        """The first reason, and how many more there are; "" for a valid row."""
        first, *more = self.invalid or [""]
        return f"{first} (and in {len(more)} more rounds)" if more else first

    def spread(self, key: str) -> Spread | None:
        return None if self.invalid else spread(self.samples.get(key, []))


@dataclass
class Result:
    """One measurement, as it goes into the report.

    `absent`: contender -> why it was not measured and how to get it; those that should have run
    and could not are in `failed`.
    """

    name: str
    title: str
    about: str
    baseline: str
    metrics: tuple[Metric, ...]
    charts: tuple[Chart, ...] = ()
    rows: list[Row] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> Metric:
        return self.metrics[0]

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(row.case for row in self.rows))

    @property
    def contenders(self) -> list[str]:
        return list(dict.fromkeys(row.contender for row in self.rows))

    @property
    def is_good(self) -> bool:
        """Everything that is installed could be measured, without errors."""
        errors = bool(self.failed) or any(row.invalid for row in self.rows)
        return not errors and bool(self.rows or self.absent)

    def metric(self, key: str) -> Metric:
        return next(metric for metric in self.metrics if metric.key == key)

    def find(self, case: str, contender: str) -> Row | None:
        return next((r for r in self.rows if (r.case, r.contender) == (case, contender)), None)

    def row(self, case: str, contender: str) -> Row:
        """The row, made when it is not there yet; rows of one case stand together."""
        if (row := self.find(case, contender)) is None:
            row = Row(case, contender)
            same = [number for number, other in enumerate(self.rows) if other.case == case]
            self.rows.insert(same[-1] + 1 if same else len(self.rows), row)
        return row

    def add(self, case: str, contender: str, **values: float) -> None:
        """One sample of each metric named."""
        row = self.row(case, contender)
        for key, value in values.items():
            row.samples.setdefault(self.metric(key).key, []).append(value)

    def refuse(self, case: str, contender: str, reason: str) -> None:
        """What was measured of this row says nothing."""
        self.row(case, contender).invalid.append(reason)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def ratio(self, row: Row, metric: Metric) -> Spread | None:
        """The row against the baseline at the same case; None for the baseline itself."""
        base = self.find(row.case, self.baseline)
        if not metric.compared or base is None or base is row or base.invalid or row.invalid:
            return None
        return ratio(row.samples.get(metric.key, []), base.samples.get(metric.key, []))


def to_json(result: Result) -> dict[str, Any]:
    """With the figures beside the samples, so that a reader needs no arithmetic of ours."""
    told = asdict(result)
    for row, plain in zip(result.rows, told["rows"], strict=True):
        figures = {}
        for metric in result.metrics:
            if (values := row.spread(metric.key)) is not None:
                compared = result.ratio(row, metric)
                figures[metric.key] = {
                    **asdict(values),
                    "ratio": None if compared is None else asdict(compared),
                }
        plain["figures"] = figures
    return told


def from_json(told: Mapping[str, Any]) -> Result:
    """Raises KeyError or TypeError when it is not what `to_json` makes."""
    fields = dict(told)
    fields["metrics"] = tuple(Metric(**metric) for metric in told["metrics"])
    fields["charts"] = tuple(Chart(**chart) for chart in told["charts"])
    fields["rows"] = [
        Row(row["case"], row["contender"], row["samples"], row["invalid"]) for row in told["rows"]
    ]
    return Result(**fields)
