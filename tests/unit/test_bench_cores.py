from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.cores import plan

SOME = st.sets(st.integers(0, 63), min_size=2)


def test_on_one_cpu_everything_shares_it():
    cores = plan([3])
    assert cores.measured == cores.load == cores.backends == {3}


def test_a_system_that_cannot_bind_says_so():
    assert "cannot bind" in plan([]).told("proxy")


def test_on_two_cpus_load_and_backend_share_the_one_that_is_not_measured():
    cores = plan([0, 1])
    assert cores.told("proxy") == "proxy: CPU 1; wrk: CPU 0; backend: CPU 0"


@given(SOME)
def test_what_is_measured_has_its_cpu_for_itself(cpus: set[int]):
    cores = plan(cpus)
    assert len(cores.measured) == 1
    assert not cores.measured & (cores.load | cores.backends)
    assert cores.measured | cores.load | cores.backends <= cpus


@given(st.sets(st.integers(0, 63), min_size=3))
def test_with_three_cpus_the_load_has_one_too(cpus: set[int]):
    cores = plan(cpus)
    assert not cores.load & cores.backends


def test_nothing_runs_on_the_other_half_of_the_measured_core():
    cores = plan(range(4), [frozenset({0, 1}), frozenset({2, 3})])
    assert cores.measured == {3}
    assert 2 not in cores.load | cores.backends


@given(SOME, st.integers(1, 80))
def test_workers_get_cpus_of_their_own_as_long_as_there_are_some(cpus: set[int], count: int):
    cores = plan(cpus)
    where = cores.for_workers(count)
    assert len(where) == min(count, len(cpus))
    assert cores.measured <= where
    if count < len(cpus):
        assert not where & cores.load
