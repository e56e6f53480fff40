"""Decisions of the pool, by clock and random that the tests give."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.policy import CrashHistory, Lifetime, is_hung, respawn_delay
from workers.replacement import Replacements
from workers.settings import PoolSettings, Recycling
from workers.status import State, StatusPage, WorkerStatus

SETTINGS = PoolSettings(name="app1", host="127.0.0.1", port=3000, workers=2)


def status(
    state: State, *, beat: float = 0.0, started: float = 0.0, requests: int = 0, rss: int = 0
) -> WorkerStatus:
    return WorkerStatus(
        0, 1, state, int(beat * 1e9), int(started * 1e9), 0, requests, 0, rss << 20, 0
    )


def test_a_worker_that_had_lived_is_replaced_at_once():
    assert respawn_delay(0, random.Random(1)) == 0.0


@given(short_lives=st.integers(1, 500), seed=st.integers())
def test_a_crash_loop_backs_off_with_jitter_up_to_ten_seconds(short_lives: int, seed: int):
    full = min(10.0, 0.1 * 2 ** (short_lives - 1))
    assert full / 2 <= respawn_delay(short_lives, random.Random(seed)) <= full


def test_one_long_life_ends_a_crash_loop():
    history = CrashHistory()
    for _ in range(4):
        history.died(0.1)
    assert history.short_lives == 4
    history.died(60.0)
    assert history.short_lives == 0


def test_a_worker_that_somebody_kills_is_no_crash_loop():
    history = CrashHistory()
    history.was_ready()
    for _ in range(20):
        history.died(1.2, killed=True)
    assert respawn_delay(history.short_lives, random.Random(1)) == 0


def test_a_pool_that_was_ever_ready_is_never_given_up():
    history = CrashHistory()
    history.was_ready()
    for _ in range(100):
        history.died(0.1)
    assert not history.cannot_boot


def test_five_boots_without_a_ready_worker_mean_it_cannot_boot():
    history = CrashHistory()
    for tries in range(1, 6):
        history.died(0.1)
        assert history.cannot_boot == (tries == 5)


@pytest.mark.parametrize(
    ("worker", "now", "hung"),
    [
        (status(State.READY, beat=100.0), 109.9, False),
        (status(State.READY, beat=100.0), 110.1, True),
        (status(State.DRAINING, beat=100.0), 110.1, True),
        (status(State.BOOT, started=100.0), 129.0, False),
        (status(State.BOOT, beat=130.0, started=100.0), 131.0, True),
    ],
)
def test_silence_means_hung_and_booting_has_its_own_limit(worker, now, hung):
    assert is_hung(worker, int(now * 1e9), SETTINGS) is hung


def test_rows_of_the_status_page_are_apart_from_each_other_and_from_the_parents():
    page = StatusPage()
    for slot in range(3):
        page.row(slot).reset(State.READY, slot)
        page.row(slot).set_pid(100 + slot)
    page.row(1).request_started()
    page.count_restart("hang")
    assert [row.pid for row in page.workers()] == [100, 101, 102]
    assert [row.in_flight for row in page.workers()] == [0, 1, 0]
    assert page.restarts() == {"crash": 0, "hang": 1, "reload": 0, "recycle": 0, "scale": 0}
    assert not page.stopping


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workers", 0),
        ("workers", 33),
        ("port", 70000),
        ("drain_seconds", -1.0),
        ("heartbeat_timeout", 0.5),
        ("name", "a/b"),
    ],
)
def test_a_bad_setting_is_refused_with_its_name_and_value(field, value):
    good = {"name": "app1", "host": "127.0.0.1", "port": 1, "workers": 1}
    with pytest.raises(ValueError, match=rf"{field} .*{value}"):
        PoolSettings(**{**good, field: value})


@given(seed=st.integers(), limit=st.integers(10, 10**6))
def test_a_worker_is_recycled_between_90_and_100_percent_of_its_requests(seed: int, limit: int):
    lifetime = Lifetime(Recycling(requests=limit), random.Random(seed))
    assert lifetime.over(status(State.READY, requests=int(limit * 0.9) - 1), 0) is None
    assert lifetime.over(status(State.READY, requests=limit), 0)


def test_a_worker_is_recycled_by_age():
    lifetime = Lifetime(Recycling(age=100.0), random.Random(1))
    assert lifetime.over(status(State.READY, started=0.0), int(89e9)) is None
    assert lifetime.over(status(State.READY, started=0.0), int(100e9))


def test_a_peak_of_memory_is_no_reason_but_three_looks_in_a_row_are():
    lifetime = Lifetime(Recycling(rss=100 << 20), random.Random(1))
    looks = [200, 200, 50, 200, 200]
    for beat, rss in enumerate(looks, 1):
        assert lifetime.over(status(State.READY, beat=beat, rss=rss), 0) is None
    same_look = status(State.READY, beat=len(looks), rss=200)
    assert lifetime.over(same_look, 0) is None
    assert lifetime.over(status(State.READY, beat=99, rss=200), 0)


def test_without_limits_a_worker_lives_for_ever():
    lifetime = Lifetime(Recycling(), random.Random(1))
    assert lifetime.over(status(State.READY, requests=10**12, rss=10**6), 10**18) is None


def test_workers_are_replaced_one_at_a_time_and_each_once():
    replacements = Replacements()
    replacements.ask([1, 2, 3], "reload")
    replacements.ask([2, 3], "recycle")
    living = {1, 2, 3}
    for old in (1, 2, 3):
        candidate = replacements.next(living)
        assert candidate is not None
        assert candidate.pid == old
        assert replacements.next(living) is None  # until this one is done
        replacements.started(old + 10)
        assert replacements.ready() == candidate
        living = living - {old} | {old + 10}
    assert replacements.idle


def test_a_worker_that_died_meanwhile_needs_no_replacing():
    replacements = Replacements()
    replacements.ask([1, 2], "reload")
    candidate = replacements.next({2})
    assert candidate is not None
    assert candidate.pid == 2


def test_a_successor_that_does_not_get_ready_ends_the_whole_roll():
    replacements = Replacements()
    replacements.ask([1, 2, 3], "reload")
    replacements.next({1, 2, 3})
    replacements.started(11)
    assert replacements.left == 3
    replacements.abort()
    assert replacements.idle
    assert replacements.next({1, 2, 3}) is None
