"""What the numbers of a machine mean: what is too little is told with the line that mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.stack import machine_limits as limits
from monitoring.stack.finding import Finding
from workers import PoolSettings

ORDER = ("problem", "note", "ok")


def test_the_accept_queue_looked_for_is_the_one_the_pools_ask_for():
    assert PoolSettings(name="x", host="127.0.0.1", port=1).backlog == limits.BACKLOG


@pytest.mark.parametrize(
    "judge", [limits.open_files, limits.memory, lambda free: limits.disk(free, "/srv")]
)
@given(st.integers(0, 10**11), st.integers(0, 10**11))
def test_more_is_never_judged_worse_and_whatever_is_wrong_has_its_line(
    judge: Callable[[int], Finding], one: int, other: int
):
    less, more = judge(min(one, other)), judge(max(one, other))
    assert ORDER.index(less.gravity) <= ORDER.index(more.gravity)
    for finding in (less, more):
        assert bool(finding.fix) is (finding.gravity != "ok")
        assert "\n" not in finding.seen + finding.fix


@pytest.mark.parametrize(
    ("finding", "gravity"),
    [
        (limits.open_files(None), "ok"),
        (limits.open_files(20_000), "ok"),
        (limits.open_files(4096), "note"),
        (limits.open_files(256), "problem"),
        (limits.accept_queue(4096), "ok"),
        (limits.accept_queue(128), "note"),
        (limits.accept_queue(None), "ok"),
        (limits.overcommit(1), "ok"),
        (limits.overcommit(None), "ok"),
        (limits.overcommit(0), "note"),
        (limits.overcommit(2), "note"),
        (limits.disk(10 * 10**9, "/srv"), "ok"),
        (limits.disk(10**9, "/srv"), "note"),
        (limits.disk(10**8, "/srv"), "problem"),
        (limits.memory(4 * 10**9), "ok"),
        (limits.memory(10**8), "problem"),
    ],
)
def test_each_limit_has_its_meaning(finding: Finding, gravity: str):
    assert finding.gravity == gravity


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 MB"), (812_400_000, "812 MB"), (1_500_000_000, "1.5 GB"), (77.7e9, "77.7 GB")],
)
def test_sizes_are_short(number: float, text: str):
    assert limits.size(number) == text
