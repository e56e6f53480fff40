from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Spread, ratio, shown, spread
from tests.bench.paced import percentiles

SECONDS = st.lists(st.floats(0, 1e6), min_size=1)


def test_without_samples_there_is_no_figure():
    assert spread([]) is None


def test_one_slow_round_does_not_move_the_median():
    assert spread([10, 11, 95]) == Spread(11, 10, 95, 3)


def test_a_ratio_compares_what_was_measured_in_the_same_round():
    """Both are halved in the second round: the machine was slow, nobody was."""
    assert ratio([100, 50], [200, 100]) == Spread(0.5, 0.5, 0.5, 2)


@pytest.mark.parametrize("baseline", [[1, 2], [1, 2, 0], [1, 2, -3], []])
def test_there_is_no_ratio_to_rounds_that_are_missing_or_to_nothing(baseline: list[float]):
    assert ratio([1, 2, 3], baseline) is None


def test_there_is_no_ratio_of_a_difference_that_is_all_noise():
    assert ratio([-0.001, 0.002], [0.001, 0.001]) is None


def test_never_is_compared_with_sometimes():
    assert ratio([0.0, 0.0], [0.06, 0.07]) == Spread(0, 0, 0, 2)


@given(SECONDS)
def test_a_percentile_is_a_value_that_occurred_and_that_share_is_not_above_it(values: list[float]):
    found = percentiles(values)
    for name, share in {"p50": 0.5, "p90": 0.9, "p99": 0.99}.items():
        assert found[name] in values
        below_or_equal = sum(value <= found[name] for value in values)
        assert below_or_equal >= math.floor(share * len(values))
        assert sum(value < found[name] for value in values) <= math.ceil(share * len(values))
    assert found["max"] == max(values)


def test_percentiles_of_a_hundred():
    found = percentiles([float(value) for value in range(100, 0, -1)])
    assert found == {"p50": 50, "p90": 90, "p99": 99, "max": 100}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0000123, "seconds", "12 µs"),
        (0.00123, "seconds", "1.2 ms"),
        (0.2426, "seconds", "243 ms"),
        (6.004, "seconds", "6.00 s"),
        (-0.0004, "seconds", "-400 µs"),
        (44878069, "bytes", "42.8 MiB"),
        (0.0131, "share", "1.3%"),
        (0.31, "share", "31%"),
        (0.00012, "share", "0.012%"),
        (0.0, "share", "0%"),
        (0.35, "times", "0.35 ×"),
        (11.63, "times", "11.6 ×"),
        (81234.5, "count", "81,234"),
        (2.04, "count", "2.04"),
        (14, "count", "14"),
    ],
)
def test_a_figure_has_three_digits_and_its_unit(value: float, unit: str, text: str):
    assert shown(value, unit) == text
