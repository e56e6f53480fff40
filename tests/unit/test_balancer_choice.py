"""What the balancer decides about backends, without a socket: who gets a request, who is out."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.backends import Backend
from balancer.ejection import WINDOW_SECONDS, EjectionRules, Outlier, may_eject
from balancer.health_count import HealthCount
from balancer.recent import RecentCounts
from balancer.selection import LeastRequests, RoundRobin, selection, smooth
from balancer.settings import Address

RULES = EjectionRules()


def group(*healthy: bool) -> list[Backend]:
    return [
        Backend(Address("127.0.0.1", port), healthy=up) for port, up in enumerate(healthy, 3000)
    ]


def policies(backends: list[Backend]) -> list[RoundRobin | LeastRequests]:
    return [RoundRobin(backends), LeastRequests(backends, random.Random(1))]


@st.composite
def any_backends(draw: st.DrawFn) -> list[Backend]:
    return [
        Backend(
            Address("127.0.0.1", port),
            weight=draw(st.integers(1, 5)),
            healthy=draw(st.booleans()),
            ejected=draw(st.booleans()),
            draining=draw(st.booleans()),
            in_flight=draw(st.integers(0, 2)),
            max_in_flight=2,
        )
        for port in range(3000, 3000 + draw(st.integers(0, 5)))
    ]


# Who gets a request


@given(backends=any_backends(), which=st.integers(0, 1), data=st.data())
def test_who_is_not_available_gets_a_request_only_when_all_are_out(backends, which, data):
    policy = policies(backends)[which]
    excluded = data.draw(st.sampled_from([None, *backends]))
    others = [one for one in backends if one is not excluded]
    for _ in range(20):
        chosen = policy.choose(excluded)
        if any(one.available for one in others):
            assert chosen is not None
            assert chosen.available
            assert chosen is not excluded
        elif chosen is not None:
            assert chosen is not excluded
            assert not chosen.draining
            assert chosen.in_flight < chosen.max_in_flight
            assert not any(one.in_service and not one.draining for one in others)


@given(backends=any_backends(), which=st.integers(0, 1))
def test_while_one_may_be_asked_at_all_somebody_is_asked(backends, which):
    for backend in backends:
        backend.in_flight = 0
    chosen = policies(backends)[which].choose()
    assert (chosen is None) == all(backend.draining for backend in backends)


def test_when_the_only_healthy_one_is_full_the_ill_one_is_left_alone():
    full, _ill = backends = group(True, False)
    full.in_flight = full.max_in_flight
    for policy in policies(backends):
        assert policy.choose() is None


@given(healthy=st.lists(st.booleans(), min_size=1, max_size=6), picks=st.integers(1, 50))
def test_available_backends_take_turns_and_others_get_nothing(healthy: list[bool], picks: int):
    robin = RoundRobin(group(*healthy))
    chosen = [robin.choose() for _ in range(picks * sum(healthy))]
    for backend, up in zip(robin.backends, healthy, strict=True):
        assert chosen.count(backend) == (picks if up else 0)


@given(count=st.integers(1, 6), picks=st.integers(1, 20))
def test_when_none_is_healthy_all_of_them_are_used_in_turn(count: int, picks: int):
    robin = RoundRobin(group(*[False] * count))
    chosen = [robin.choose() for _ in range(picks * count)]
    assert {chosen.count(backend) for backend in robin.backends} == {picks}


@given(weights=st.lists(st.integers(1, 12), min_size=1, max_size=5), rounds=st.integers(1, 3))
def test_each_gets_its_share_of_every_round(weights: list[int], rounds: int):
    backends = group(*[True] * len(weights))
    for backend, weight in zip(backends, weights, strict=True):
        backend.weight = weight
    robin = RoundRobin(backends)
    got = Counter(id(robin.choose()) for _ in range(sum(weights) * rounds))
    assert [got[id(backend)] for backend in backends] == [weight * rounds for weight in weights]


def test_turns_are_spread_as_nginx_spreads_them():
    assert smooth([5, 1, 1]) == [0, 0, 1, 0, 2, 0, 0]
    assert smooth([1, 1]) == smooth([50, 50]) == [0, 1]
    assert smooth([]) == []


@given(weights=st.lists(st.integers(1, 100), min_size=2, max_size=5))
def test_in_no_run_of_turns_is_anybody_far_from_its_share(weights: list[int]):
    turns = smooth(weights)
    for position, weight in enumerate(weights):
        for length in range(1, len(turns) + 1):
            due = length * weight / sum(weights)
            assert abs(turns[:length].count(position) - due) < len(weights)


def test_a_weight_that_changed_counts_from_the_next_choice_on():
    backends = group(True, True)
    robin = RoundRobin(backends)
    backends[0].weight = 3
    robin.adopt(backends)
    assert Counter(id(robin.choose()) for _ in range(8))[id(backends[0])] == 6


def test_with_one_backend_out_its_share_is_spread_over_the_others_by_weight():
    backends = group(True, True, True)
    backends[0].weight, backends[2].healthy = 2, False
    robin = RoundRobin(backends)
    got = Counter(id(robin.choose()) for _ in range(300))
    assert got[id(backends[0])] == 2 * got[id(backends[1])] == 200


@given(loads=st.lists(st.integers(0, 9), min_size=2, max_size=2), seed=st.integers())
def test_of_two_backends_the_less_loaded_one_is_taken(loads: list[int], seed: int):
    backends = group(True, True)
    for backend, load in zip(backends, loads, strict=True):
        backend.in_flight = load
    chosen = LeastRequests(backends, random.Random(seed)).choose()
    assert chosen is not None
    assert chosen.in_flight == min(loads)


def test_loads_even_out_by_weight_when_requests_stay_in_flight():
    backends = group(True, True, True)
    backends[0].weight = 4
    policy = LeastRequests(backends, random.Random(7))
    for _ in range(600):
        chosen = policy.choose()
        assert chosen is not None
        chosen.in_flight += 1
    loads = [backend.in_flight for backend in backends]
    assert loads[0] > 1.6 * max(loads[1:])
    assert abs(loads[1] - loads[2]) < 20


def test_idle_backends_of_equal_weight_are_all_used():
    backends = group(True, True)
    policy = selection("least-requests", backends, random.Random(3))
    assert {id(policy.choose()) for _ in range(40)} == {id(backend) for backend in backends}


# Passive health


def failed_requests(outlier: Outlier, count: int, now: float) -> list[bool]:
    return [outlier.failed(now) for _ in range(count)]


def test_the_fifth_failure_in_a_row_is_one_too_many():
    assert failed_requests(Outlier(), 5, 1.0) == [False] * 4 + [True]


def test_one_answer_in_between_begins_the_row_anew():
    outlier = Outlier()
    failed_requests(outlier, 4, 1.0)
    outlier.passed()
    assert failed_requests(outlier, 5, 1.0) == [False] * 4 + [True]


def test_half_of_twenty_is_too_many_and_half_of_fewer_says_nothing():
    outlier, seen = Outlier(), []
    for _ in range(10):
        outlier.passed()
        seen.append(outlier.failed(1.0))
    assert seen == [False] * 9 + [True]


def test_failures_of_more_than_ten_seconds_ago_are_forgotten():
    outlier = Outlier()
    for step in range(200):  # half of the requests fail, but never twenty of them in ten seconds
        now = 10.0 + step * 1.5
        outlier.advance(now)
        outlier.passed()
        assert not outlier.failed(now), step


def test_rules_can_be_switched_off():
    assert not any(failed_requests(Outlier(EjectionRules(in_a_row=0)), 100, 1.0))


def test_the_nth_ejection_lasts_n_times_as_long_up_to_a_minute():
    outlier, now, lasted = Outlier(), 100.0, []
    for _ in range(15):
        lasted.append(outlier.eject(now))
        now += lasted[-1]
        assert outlier.advance(now)
    assert lasted == [*range(5, 60, 5), 60, 60, 60, 60]


def test_each_ten_good_seconds_make_the_next_ejection_shorter():
    outlier = Outlier()
    for start in (0.0, 10.0, 20.0):
        outlier.eject(start + 1)
        outlier.advance(start + 1 + RULES.longest)
    since = 21.0 + RULES.longest
    assert outlier.seconds_left(since) == 0
    outlier.advance(since + WINDOW_SECONDS)
    outlier.advance(since + 2 * WINDOW_SECONDS)
    assert outlier.eject(since + 2 * WINDOW_SECONDS) == 10.0


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["passed", "failed", "tick"]), st.floats(0, 3)), max_size=200
    )
)
def test_an_ejection_ends_within_a_minute_and_the_row_begins_anew(events):
    outlier, now, out_since = Outlier(), 1000.0, None
    for event, pause in events:
        now += pause
        if event == "passed":
            outlier.passed()
        elif event == "failed" and out_since is None:
            if outlier.failed(now):
                seconds = outlier.eject(now)
                assert RULES.out_seconds <= seconds <= RULES.longest
                out_since = now
        elif outlier.advance(now):
            assert out_since is not None
            assert now - out_since >= RULES.out_seconds
            out_since = None
            assert failed_requests(outlier, 4, now) == [False] * 4
            outlier.passed()
        if out_since is not None:
            assert now - out_since <= RULES.longest + 3
            assert outlier.seconds_left(now) <= RULES.longest


@given(backends=any_backends(), data=st.data())
def test_the_last_backend_in_service_is_never_ejected(backends, data):
    if backends:
        ill = data.draw(st.sampled_from(backends))
        if may_eject(ill, backends):
            ill.ejected = True
            assert any(one.in_service and not one.draining for one in backends)


@given(counts=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 5)), max_size=60))
def test_what_is_recent_is_what_came_in_the_last_nine_to_ten_seconds(counts):
    recent, now, came = RecentCounts(10.0), 100.0, []
    recent.advance(now)
    for pause, good in counts:
        for _ in range(int(pause / 0.1)):  # the coarse timer
            now += 0.1
            recent.advance(now)
        recent.good += good
        came.append((now, good))
        seen, _bad = recent.recent()
        assert sum(good for at, good in came if now - at < 8.5) <= seen
        assert seen <= sum(good for at, good in came if now - at < 11.5)


# Active checks


@given(results=st.lists(st.booleans(), max_size=40), fall=st.integers(1, 4), rise=st.integers(1, 4))
def test_health_changes_only_after_so_many_equal_results_in_a_row(results, fall, rise):
    count, healthy, seen = HealthCount(fall, rise), True, []
    for passed in results:
        was = healthy
        healthy = count.passed(was) if passed else count.failed(was)
        seen.append(passed)
        run = len(list(next(itertools.groupby(reversed(seen)))[1]))
        if healthy != was:
            assert run >= (rise if passed else fall)
        if not passed and run >= fall:
            assert not healthy


def test_a_backend_that_refuses_is_out_at_once_and_needs_all_its_passes_to_come_back():
    count = HealthCount(fall=2, rise=2)
    healthy = count.refused()
    assert not healthy
    healthy = count.passed(healthy)
    assert not healthy
    assert count.passed(healthy)


@pytest.mark.parametrize("rise", [1, 2, 3])
def test_one_pass_is_enough_for_the_first_time(rise: int):
    assert HealthCount(fall=2, rise=rise).passed(healthy=False)
