"""Numbers of the command line: what is refused is told with what would be allowed."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.option_types import Number


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        (Number(0.02, 60), "a number from 0.02 to 60"),
        (Number(1, 32, whole=True), "a whole number from 1 to 32"),
        (Number(0, 86400, above=True), "a number above 0 and at most 86400"),
        (Number(0, whole=True), "a whole number, 0 or more"),
        (Number(0, above=True), "a number above 0"),
    ],
)
@pytest.mark.parametrize("value", ["abc", "", "nan", "inf", "-inf", "-1", "1e999", "9" * 60 + "x"])
def test_what_is_no_number_that_is_allowed_is_told_with_what_is(
    kind: Number, allowed: str, value: str
):
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(value, None, None)
    assert str(refused.value).endswith(f" is not {allowed}")
    assert value[:40] in str(refused.value)


@pytest.mark.parametrize("value", ["1.5", "1e3", "0x10"])
def test_a_whole_number_is_not_rounded(value: str):
    with pytest.raises(click.BadParameter, match="a whole number from 1 to 5000"):
        Number(1, 5000, whole=True).convert(value, None, None)


def test_the_ends_are_allowed_and_what_is_above_excludes_the_low_one():
    assert Number(0.5, 2).convert("0.5", None, None) == 0.5
    assert Number(0.5, 2).convert("2", None, None) == 2
    assert Number(0, 2, above=True).convert("2", None, None) == 2
    with pytest.raises(click.BadParameter):
        Number(0, 2, above=True).convert("0", None, None)


@given(st.floats(allow_nan=True, allow_infinity=True), st.booleans())
def test_only_what_lies_in_the_range_passes(value: float, above: bool):
    kind = Number(0.25, 4, above=above)
    fits = 0.25 < value <= 4 or (value == 0.25 and not above)
    if fits:
        assert kind.convert(repr(value), None, None) == value
    else:
        with pytest.raises(click.BadParameter):
            kind.convert(repr(value), None, None)


def test_help_shows_the_range():
    @click.command()
    @click.option("--seconds", type=Number(0.02, 60))
    @click.option("--count", type=Number(1, whole=True))
    def main(seconds: float, count: int) -> None: ...

    shown = main.get_help(click.Context(main))
    assert "--seconds 0.02..60" in shown
    assert "--count >=1" in shown
