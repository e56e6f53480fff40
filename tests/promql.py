"""What a PromQL expression names: enough for checks of our own queries, not a parser."""

from __future__ import annotations

import re

from monitoring import catalogue

_STRING = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"\{([^}]*)\}")
_RANGE = re.compile(r"\[([^\]]*)\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"\b([a-zA-Z_][a-zA-Z0-9_]*)\b(?!\s*\()")
_WORDS = {"or", "and", "unless", "bool", "offset", "by", "without", "on", "ignoring"}


def metric_names(expr: str) -> set[str]:
    """Every metric the expression reads, as written (with `_bucket`, `_sum`, `_count`)."""
    bare = _GROUPING.sub(" ", _RANGE.sub(" ", _MATCHERS.sub(" ", _STRING.sub(" ", expr))))
    return set(_NAME.findall(bare)) - _WORDS


def ranges(expr: str) -> list[str]:
    """The text in each pair of square brackets."""
    return _RANGE.findall(_STRING.sub(" ", expr))


def kept_labels(expr: str) -> set[str]:
    """The labels of all `by (…)` lists."""
    lists = re.findall(r"\bby\s*\(([^)]*)\)", expr)
    return {label.strip() for labels in lists for label in labels.split(",")}


def labels(expr: str) -> set[str]:
    """Every label the expression names, in matchers and in lists."""
    matched = " ".join(_MATCHERS.findall(_STRING.sub("", expr)))
    listed = {label.strip() for found in _GROUPING.findall(expr) for label in found.split(",")}
    return set(re.findall(r"(\w+)\s*(?:=|!)", matched)) | listed


def rated(expr: str) -> set[str]:
    """The metrics that stand directly in `rate(`, `irate(` or `increase(`."""
    return set(re.findall(r"\b(?:rate|irate|increase)\(\s*(\w+)", expr))


def catalogued(name: str) -> catalogue.Metric | None:
    """The catalogue's line for a name in an expression."""
    metric = catalogue.BY_NAME.get(name)
    if metric is None:
        metric = catalogue.BY_NAME.get(re.sub(r"_(bucket|sum|count)$", "", name))
        return metric if metric is not None and metric.kind == "histogram" else None
    return metric
