"""What `PUT /faults`, the command line and the environment accept and refuse."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unstable.changes import parse_changes
from unstable.faults import STOCK
from unstable.settings import MAX_SEED, SEED, BadSettingError, FaultSettings, Knob

KNOBS = STOCK.schema.knobs
RATES = [name for name in KNOBS if name.endswith("_rate")]
START = FaultSettings.checked(STOCK.schema, {})

JSON_SCALARS = (
    st.none()
    | st.booleans()
    | st.text(max_size=200)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
)
JSON_VALUES = st.recursive(
    JSON_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


def is_fine(name: str, value: Any) -> bool:
    """The rule, said a second time and differently."""
    if name not in KNOBS or type(value) not in (int, float):
        return False
    if KNOBS[name].whole and type(value) is not int:
        return False
    return bool(KNOBS[name].low <= value <= KNOBS[name].high)


@given(changes=st.dictionaries(st.sampled_from([*KNOBS, "failure", "x"]), JSON_VALUES))
def test_a_bad_field_is_named_with_its_limits_and_no_good_one_is_blamed(changes):
    bad = {name for name, value in changes.items() if not is_fine(name, value)}
    try:
        START.changed(changes)
    except BadSettingError as error:
        complaints = str(error).split("; ")
        for name in bad & set(KNOBS):
            assert f"{name} must be {KNOBS[name].allowed}, got " in str(error)
        for name in bad - set(KNOBS):
            assert f'"{name}" is not a setting' in str(error)
        if bad:
            for name in set(changes) - bad:
                assert not any(line.startswith(f"{name} must") for line in complaints)
        else:
            assert "together at most 1" in str(error)
    else:
        assert not bad


def good_values(knob: Knob) -> st.SearchStrategy[float]:
    """Rates up to an eighth, so that those of one draw never pass 1 together."""
    if knob.whole:
        return st.integers(int(knob.low), int(knob.high))
    return st.floats(knob.low, 0.125 if knob.name in RATES else knob.high)


@given(
    changes=st.fixed_dictionaries(
        {}, optional={name: good_values(knob) for name, knob in KNOBS.items()}
    )
)
def test_good_values_are_taken_and_the_others_stay(changes):
    changed = FaultSettings.checked(STOCK.schema, {"failure_rate": 0.1}).changed(changes)
    for name in KNOBS:
        expected = changes.get(name, 0.1 if name == "failure_rate" else KNOBS[name].default)
        assert changed.values[name] == expected
    assert changed.rates == {name.removesuffix("_rate"): changed.values[name] for name in RATES}


@given(rates=st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_the_rates_of_one_draw_must_leave_room_for_each_other(rates):
    names = list(STOCK.schema.failing.values())
    total = math.fsum(rates)
    try:
        FaultSettings.checked(STOCK.schema, dict(zip(names, rates, strict=True)))
    except BadSettingError as error:
        assert total > 1
        for name, rate in zip(names, rates, strict=True):
            assert (f"{name} {rate:g}" in str(error)) == (rate > 0)
    else:
        assert total <= 1 + 1e-8


def test_rates_that_add_up_to_1_but_for_rounding_are_fine():
    thirds = {"failure_rate": 0.1, "hang_rate": 0.7, "reset_rate": 0.2}
    assert FaultSettings.checked(STOCK.schema, thirds).values["hang_rate"] == 0.7


def test_failing_and_slowing_rates_are_drawn_apart_so_both_may_be_1():
    settings = FaultSettings.checked(STOCK.schema, {"failure_rate": 1, "delay_rate": 1})
    assert settings.failing["failure"] == settings.slowing["delay"] == 1.0


def test_the_defaults_are_those_of_the_original_service():
    assert {name: value for name, value in START.values.items() if value} == {
        "failure_rate": 0.3,
        "delay_rate": 0.3,
        "delay_seconds": 3.0,
        "failure_status": 500,
        "drip_seconds": 0.1,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("failure_rate", 1.5, "failure_rate must be a number from 0 to 1, got 1.5"),
        ("failure_rate", True, "failure_rate must be a number from 0 to 1, got true"),
        ("failure_rate", "0.5", 'failure_rate must be a number from 0 to 1, got "0.5"'),
        ("hang_rate", float("nan"), "hang_rate must be a number from 0 to 1, got NaN"),
        ("delay_seconds", -1, "delay_seconds must be a number from 0 to 3600, got -1"),
        ("drip_seconds", [1], "drip_seconds must be a number from 0.001 to 3600, got a list"),
        ("failure_status", 404, "failure_status must be a whole number from 500 to 599, got 404"),
        ("seed", 1.0, f"seed must be a whole number from 0 to {MAX_SEED}, got 1.0"),
        ("seed", -1, f"seed must be a whole number from 0 to {MAX_SEED}, got -1"),
        ("failure_rte", 0.1, '"failure_rte" is not a setting; did you mean failure_rate?'),
    ],
)
def test_the_message_says_name_limits_and_value(name, value, message):
    with pytest.raises(BadSettingError) as caught:
        START.changed({name: value})
    assert message in str(caught.value)


def test_a_very_long_value_or_very_many_mistakes_do_not_make_a_long_message():
    with pytest.raises(BadSettingError) as caught:
        START.changed({"failure_rate": "x" * 100_000})
    assert len(str(caught.value)) < 300
    with pytest.raises(BadSettingError) as caught:
        START.changed({f"{'x' * 1000}{number}": 1 for number in range(1000)})
    assert len(str(caught.value)) < 6000


@given(changes=st.dictionaries(st.text(), JSON_VALUES))
def test_a_json_object_comes_out_of_the_body_as_it_went_in(changes):
    parsed = parse_changes(json.dumps(changes).encode())
    assert json.dumps(parsed) == json.dumps(changes)


@given(body=st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_other_body_is_refused_with_a_reason(body: bytes):
    try:
        assert isinstance(parse_changes(body), dict)
    except BadSettingError as error:
        assert str(error).startswith(("the body ", '"'))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "the body is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"0.5", "must be a JSON object"),
        (b'{"seed": 1, "seed": 2}', '"seed" is given 2 times'),
    ],
)
def test_bodies_that_are_no_object_or_unclear(body: bytes, message: str):
    with pytest.raises(BadSettingError, match=message):
        parse_changes(body)


def test_the_seed_is_the_last_of_the_settings_and_one_of_them():
    assert list(KNOBS)[-1] == SEED.name
