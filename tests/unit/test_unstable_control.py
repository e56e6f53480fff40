"""What is set now: all or nothing, and a seed that makes a run repeatable."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unstable.control import FaultControl
from unstable.faults import STOCK
from unstable.settings import BadSettingError, FaultSettings


def control(**given: float) -> FaultControl:
    return FaultControl(FaultSettings.checked(STOCK.schema, {"seed": 1, **given}), random.Random())


def kinds(faults: FaultControl, count: int = 200) -> list[str]:
    return [faults.decide().kind for _ in range(count)]


@given(
    good=st.dictionaries(st.just("delay_rate"), st.floats(0, 1)),
    bad=st.sampled_from(
        [
            {"failure_rate": 2},
            {"hang_rate": 0.9},  # with the failure rate of 0.3 over 1
            {"delay_seconds": -1},
            {"nonsense": 1},
            {"seed": None},
        ]
    ),
)
def test_one_bad_field_and_nothing_is_changed_not_even_the_sequence(good, bad):
    touched, untouched = control(), control()
    kinds(touched, 5), kinds(untouched, 5)
    before = touched.settings
    with pytest.raises(BadSettingError):
        touched.change({**good, "seed": 5, **bad})
    assert touched.settings is before
    assert kinds(touched) == kinds(untouched)


def test_a_change_keeps_what_it_does_not_name_and_goes_on_in_the_sequence():
    changed, same = control(), control()
    kinds(changed, 5), kinds(same, 5)
    changed.change({"delay_seconds": 0.5})
    assert changed.settings.values["failure_rate"] == 0.3
    assert [changed.decide().number, changed.settings.values["delay_seconds"]] == [6, 0.5]
    same.decide()
    assert kinds(changed) == kinds(same)


def test_a_seed_restarts_the_sequence_even_if_it_is_the_same():
    faults = control()
    first = kinds(faults)
    faults.change({"seed": 1})
    assert kinds(faults) == first
    faults.change({"seed": 2})
    assert kinds(faults) != first
    assert faults.decide().number == 201


def test_restoring_puts_everything_back_the_sequence_too():
    faults = control(failure_rate=0.5, hang_rate=0.1)
    first = kinds(faults)
    at_start = faults.settings
    faults.change({"failure_rate": 0, "hang_rate": 1, "seed": 99})
    assert set(kinds(faults)) == {"hang"}
    faults.restore()
    assert faults.settings == at_start
    assert kinds(faults) == first


def test_a_decision_keeps_the_settings_of_its_moment():
    faults = control(failure_rate=0, delay_rate=1, delay_seconds=2)
    decision = faults.decide()
    faults.change({"delay_seconds": 0})
    assert decision.settings.values["delay_seconds"] == 2.0


def test_settings_cannot_be_changed_from_the_side():
    with pytest.raises(TypeError):
        control().settings.values["failure_rate"] = 1  # type: ignore[index]
