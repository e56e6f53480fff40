"""Prometheus text as a dictionary, read by the official client's parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, frozenset[tuple[str, str]]]


def parse(body: bytes) -> dict[Sample, float]:
    """Every sample of the exposition; raises AssertionError when one is there twice."""
    values: dict[Sample, float] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in values, f"{key} is exposed twice"
            values[key] = sample.value
    return values


def sample(name: str, **labels: str) -> Sample:
    return (name, frozenset(labels.items()))
