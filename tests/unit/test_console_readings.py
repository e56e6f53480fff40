"""Rates from counters, quantiles from buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.readings import Change, Readings, parse, quantile


def look(at: float, **values: float) -> Readings:
    return Readings(at, {name: {(): value} for name, value in values.items()})


def test_a_rate_is_growth_over_the_seconds_between_the_looks():
    assert Change(look(5.0, asked=30), look(3.0, asked=10)).rate("asked") == 10


def test_a_counter_that_began_anew_counts_what_it_has():
    assert Change(look(5.0, asked=4), look(3.0, asked=1000)).rate("asked") == 2


def test_without_a_look_before_there_is_no_rate():
    assert Change(look(5.0, asked=4)).rate("asked") == 0
    assert Change(look(5.0, asked=4), look(5.0, asked=1)).rate("asked") == 0


def test_labels_choose_and_group_series():
    text = 'a_total{x="1",y="1"} 5\na_total{x="1",y="2"} 6\na_total{x="2",y="2"} 7\n'
    change = Change(parse(text, 2.0), Readings(1.0))
    assert change.rate("a_total", x="1") == 11
    assert change.rates("a_total", "y") == {"1": 5, "2": 13}


def test_a_quantile_lies_in_its_bucket_and_infinity_is_never_told():
    buckets = {0.1: 50.0, 0.5: 90.0, float("inf"): 100.0}
    assert quantile(buckets, 0.5) == pytest.approx(0.1)
    assert quantile(buckets, 0.7) == pytest.approx(0.3)
    assert quantile(buckets, 0.99) == 0.5
    assert quantile({0.1: 0.0, float("inf"): 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_a_larger_share_never_takes_less_time(counts: list[float], q: float):
    bounds, whole = (0.01, 0.1, 1.0, float("inf")), 0.0
    buckets = {}
    for bound, count in zip(bounds, counts, strict=True):
        whole += count
        buckets[bound] = whole
    low, high = quantile(buckets, q / 2), quantile(buckets, q)
    assert (low is None) == (high is None) == (whole <= 0)
    if low is not None and high is not None:
        assert low <= high * (1 + 1e-9) + 1e-12


def test_what_is_no_exposition_is_refused():
    with pytest.raises(ValueError, match="html"):
        parse("<html>no</html>\n", 1.0)
