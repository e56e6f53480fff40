from __future__ import annotations

import pytest

from monitoring import bootstrap
from tests.bench import measurements, programs
from tests.bench.effort import FULL, QUICK, STANDARD
from tests.bench.measurements.app_scaling import counts
from tests.bench.programs import KNOWN, MissingProgramError

ALL = measurements.all_measurements()


def test_every_benchmark_has_a_name_a_place_and_a_file_of_its_own():
    assert len({one.name for one in ALL}) == len(ALL)
    assert len({one.place for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_benchmark_has_a_baseline_and_says_what_is_better(one):
    """Where ours is the baseline, there is nothing to divide by: it is to be 0."""
    assert one.metrics[0].better != "neither"
    assert one.metrics[0].compared or one.baseline == "ours"
    assert {chart.metric for chart in one.charts} <= {metric.key for metric in one.metrics}


def test_the_first_part_of_a_name_stands_for_all_that_begin_so():
    names = [one.name for one in measurements.chosen(("balancer",))]
    assert names == ["balancer-requests", "balancer-latency"]


def test_no_name_means_all_and_the_order_is_that_of_the_report():
    assert measurements.chosen(()) == ALL
    assert [one.name for one in measurements.chosen(("store", "app-scaling"))] == [
        "app-scaling", "store",
    ]  # fmt: skip


def test_a_name_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"'bal' is no benchmark; there are balancer-requests, "):
        measurements.chosen(("bal",))


def test_a_quick_run_takes_the_first_case_and_others_all():
    assert QUICK.cases([1, 2, 3]) == [1]
    assert STANDARD.cases([1, 2, 3]) == FULL.cases([1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("cpus", "workers"),
    [
        (1, [1]),
        (2, [1, 2]),
        (4, [1, 2, 3, 4]),
        (12, [1, 2, 3, 4, 8, 12]),
        (64, [1, 2, 3, 4, 8, 16, 32]),
    ],
)
def test_scaling_goes_from_one_worker_to_as_many_as_there_are_cpus(cpus: int, workers: list[int]):
    assert counts(cpus) == workers


@pytest.mark.parametrize("name", KNOWN)
def test_a_program_that_is_missing_is_named_with_the_command_that_gets_it(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(programs, "_PLACES", ("/nowhere",))
    for known in KNOWN.values():
        monkeypatch.delenv(known.variable or "_", raising=False)
    with pytest.raises(
        MissingProgramError, match=rf"{name} is not installed; to get it: .+install"
    ):
        programs.find(name)


@pytest.mark.parametrize(
    ("has", "wanted", "enough"),
    [
        ("dev,bench", "dev", True),
        ("dev,bench", "dev,bench", True),
        ("dev", "dev,bench", False),
        ("", "dev,bench", False),
        ("dev,bench", "", True),
    ],
)
def test_packages_of_the_benchmarks_are_installed_once(
    has: str, wanted: str, enough: bool, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    stamp = tmp_path / ".installed"
    stamp.write_text(f"print\n{has}\n")
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    assert bootstrap.stamp_says("print", wanted) is enough
