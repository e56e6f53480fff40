"""What the settings say and people changed, put together; without a socket."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.membership import (
    BadChangesError,
    Change,
    Recorded,
    RefusedChangeError,
    add,
    alter,
    describe,
    dump,
    load,
    remove,
    wanted,
)
from balancer.settings import MOST_BACKENDS, Address, Member

ONE, TWO, THREE = (Address("127.0.0.1", port) for port in (3000, 3001, 3002))
CONFIGURED = (Member(ONE), Member(TWO, weight=2))

addresses = st.sampled_from([ONE, TWO, THREE, Address("::1", 80), Address("app.internal", 65535)])
changes = st.builds(
    Change,
    weight=st.none() | st.integers(1, 100),
    draining=st.booleans(),
    added=st.booleans(),
    removed=st.booleans(),
)


@given(serial=st.integers(0), made=st.dictionaries(addresses, changes))
def test_what_was_written_is_read_again(serial: int, made: dict[Address, Change]):
    assert load(dump(Recorded(serial, made))) == Recorded(serial, made)


@given(text=st.text() | st.recursive(st.none() | st.integers(), st.lists).map(str))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str):
    with pytest.raises(BadChangesError):
        load(text)


@pytest.mark.parametrize(
    "fields", ['{"weight": 0}', '{"weight": true}', '{"draining": 1}', '{"gone": true}', "[]"]
)
def test_a_change_that_cannot_be_is_refused_and_named(fields: str):
    with pytest.raises(BadChangesError, match=r"127\.0\.0\.1:3000"):
        load(f'{{"version": 1, "serial": 1, "changes": {{"127.0.0.1:3000": {fields}}}}}')


def test_without_changes_the_settings_are_wanted():
    assert wanted(CONFIGURED, {}) == CONFIGURED


def test_each_change_does_what_it_says():
    made = add(CONFIGURED, {}, THREE, 5)
    made = alter(CONFIGURED, made, ONE, weight=4, draining=True)
    assert wanted(CONFIGURED, made) == (
        Member(ONE, 4, draining=True), Member(TWO, 2), Member(THREE, 5)
    )  # fmt: skip
    made = alter(CONFIGURED, made, ONE, draining=False)
    made = remove(CONFIGURED, remove(CONFIGURED, made, TWO), THREE)
    assert wanted(CONFIGURED, made) == (Member(ONE, 4),)
    assert wanted(CONFIGURED, add(CONFIGURED, made, TWO)) == (Member(ONE, 4), Member(TWO, 1))


def test_other_settings_keep_the_changes_that_still_concern_them():
    made = alter(CONFIGURED, add(CONFIGURED, {}, THREE), ONE, draining=True)
    assert wanted((Member(TWO),), made) == (Member(TWO), Member(THREE))
    now_configured = (Member(ONE), Member(THREE, 7))
    assert wanted(now_configured, made) == (Member(ONE, draining=True), Member(THREE))


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "drain", "undrain", "weigh", "remove"]),
            addresses,
            st.integers(1, 100),
        ),
        max_size=30,
    )
)
def test_whatever_is_asked_one_backend_takes_requests_and_none_is_there_twice(steps):
    made: dict[Address, Change] = {}
    for what, address, weight in steps:
        with contextlib.suppress(RefusedChangeError):
            if what == "add":
                made = add(CONFIGURED, made, address, weight)
            elif what == "remove":
                made = remove(CONFIGURED, made, address)
            elif what == "weigh":
                made = alter(CONFIGURED, made, address, weight=weight)
            else:
                made = alter(CONFIGURED, made, address, draining=what == "drain")
        members = wanted(CONFIGURED, made)
        assert any(not member.draining for member in members)
        assert len({member.address for member in members}) == len(members)
        assert load(dump(Recorded(1, made))).changes == made


def test_there_may_not_be_any_number_of_backends():
    made: dict[Address, Change] = {}
    for port in range(1, MOST_BACKENDS - 1):
        made = add(CONFIGURED, made, Address("10.0.0.1", port))
    with pytest.raises(RefusedChangeError, match=f"there are {MOST_BACKENDS} backends"):
        add(CONFIGURED, made, THREE)


def test_a_change_is_told_in_words():
    assert describe(Change(weight=2, added=True)) == "added, weight 2"
    assert describe(Change(draining=True)) == "draining"


@pytest.mark.parametrize(
    "text",
    [
        "", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:８0",
        "http://127.0.0.1:80", "127.0.0.1:80/", "a b:80", "[::1:80", "a@2", "a:1@", "a:1@0",
        "a:1@101", "a:1@2@3", "a:1@x", "a:-1", "u@h:1",
    ],
)  # fmt: skip
def test_what_is_no_backend_is_refused_and_what_is_allowed_is_said(text: str):
    with pytest.raises(ValueError, match=r"HOST:PORT|from 1 to 100"):
        Member.parse(text)


@given(host=st.sampled_from(["127.0.0.1", "[::1]", "app-1.internal"]), port=st.integers(1, 65535))
def test_a_backend_is_written_as_it_is_read(host: str, port: int):
    assert str(Member.parse(f"{host}:{port}@3").address) == f"{host}:{port}"
