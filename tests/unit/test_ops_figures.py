"""Workers, shards, breaker and rates, from what programs tell of themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.catalogue import BY_NAME
from monitoring.stack import figures as module
from monitoring.stack.figures import Labels, Page, Samples, figures
from monitoring.stack.figures_text import in_words

POOL = {
    "wanted": 2,
    "restarts": {"crash": 1, "hang": 0},
    "workers": [{"state": "ready"}, {"state": "boot"}],
}


def app(name: str, requests: float, **more: Any) -> Page:
    samples: Samples = {
        "http_requests_total": [
            ({"route": "/", "status": "200"}, requests),
            ({"route": "/", "status": "503"}, more.get("failed", 0)),
            ({"route": "/metrics", "status": "200"}, requests * 7),
        ],
        "answers_total": [({"source": "live"}, requests), ({"source": "fallback"}, 0)],
        "external_requests_total": [({"outcome": "ok"}, requests), ({"outcome": "x"}, requests)],
        "external_breaker_state": [({}, more.get("breaker", 0))],
        "redis_shard_up": [({"shard": "redis1"}, 1), ({"shard": "redis2"}, more.get("up", 1))],
        "redis_keys_total": [({"shard": "redis1"}, 5)],
        "store_hints": [({"shard": "redis1"}, 0), ({"shard": "redis2"}, more.get("due", 0))],
    }
    return Page(name, samples, POOL)


def door(requests: float, failed: float = 0.0) -> Page:
    counted: list[tuple[Labels, float]] = [
        ({"status": "200"}, requests),
        ({"status": "502"}, failed),
    ]
    return Page("balancer", {"balancer_requests_total": counted}, None)


def test_rates_are_the_front_doors_and_those_of_the_apps_where_another_stands_there():
    before, after = [app("app1", 10), app("app2", 0)], [app("app1", 30), app("app2", 20, failed=4)]
    alone = figures(before, after, 2.0).rates
    assert alone is not None
    assert (alone.requests, alone.failed) == (22.0, 2.0)
    behind = figures([*before, door(0)], [*after, door(90, 10)], 2.0).rates
    assert behind is not None
    assert (behind.requests, behind.failed) == (50.0, 5.0)
    assert (behind.sources, behind.attempts) == ({"live": 20.0, "fallback": 0.0}, 40.0)


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.1, 100))
def test_no_rate_is_ever_negative_also_when_a_counter_begins_anew(
    was: float, now: float, over: float
):
    rates = figures([app("app1", was)], [app("app1", now)], over).rates
    assert rates is not None
    assert min(rates.requests, rates.failed, rates.attempts, *rates.sources.values()) >= 0


def test_a_program_that_came_between_the_looks_has_no_rate_yet():
    rates = figures([app("app1", 10)], [app("app1", 11), app("app2", 1000)], 1.0).rates
    assert rates is not None
    assert rates.requests == 1
    assert figures([], [app("app1", 10)], 1.0).rates is None


def test_a_shard_that_does_not_answer_is_not_one_with_no_records():
    redis1, redis2 = figures([], [app("app1", 1, up=0, due=7)], 1.0).shards
    assert (redis1.up, redis1.records) == (True, 5)
    assert (redis2.up, redis2.records, redis2.copies_due) == (False, None, 7)


@pytest.mark.parametrize(("state", "word"), [(0, "closed"), (1, "open"), (2, "half open")])
def test_the_breaker_is_told_in_words(state: int, word: str):
    assert figures([], [app("a", 0), app("b", 0, breaker=state)], 1.0).breaker == word


def test_what_is_not_as_it_should_be_is_marked():
    pages = [app("app1", 1, up=0, due=1200, breaker=1)]
    lines = {heading: (text, well) for heading, text, well in in_words(figures([], pages, 1.0))}
    assert lines == {
        "workers": ("app1 1 of 2 ready (replaced: 1 × crash)", False),
        "shards": ("redis1 up, 5 records · redis2 does not answer, 1,200 copies due", False),
        "breaker": ("open", False),
    }


def test_programs_that_tell_nothing_give_no_lines():
    assert in_words(figures([], [], 1.0)) == []


def test_only_metrics_of_the_catalogue_are_looked_at():
    asked = set(app("app1", 1).samples) | set(door(1).samples)
    source = Path(module.__file__).read_text()
    quoted = set(re.findall(r'"((?:[a-z]+_)+(?:total|up|hints|state))"', source))
    assert asked <= quoted <= set(BY_NAME)
