"""What the balancer decides, without a socket: which backend, whether again, what a head means."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.backends import Backend, HealthCount, RoundRobin
from balancer.request_head import (
    HOP_BY_HOP,
    ParsedRequest,
    RequestHead,
    RequestHeads,
)
from balancer.request_id import RequestIds
from balancer.request_line import RefusedError
from balancer.response_head import BadResponseError
from balancer.response_head import read as read_answer
from balancer.retry import SAFE_METHODS, Attempts, may_retry
from balancer.settings import Address, Settings

SETTINGS = Settings(
    listen=Address("127.0.0.1", 1), admin=Address("127.0.0.1", 2), backends=(Address("a", 1),)
)


def read(parsed: ParsedRequest, peer: bytes, settings: Settings) -> RequestHead:
    """Reads it twice, the second time from memory: both mean the same."""
    heads = RequestHeads(settings, RequestIds("00" * 8))
    first, second = (heads.read(parsed, b"X-Forwarded-For: %b\r\n" % peer) for _ in range(2))
    assert replace(second, request_id="", forwarded=b"") == replace(
        first, request_id="", forwarded=b""
    )
    assert second.forwarded == first.forwarded.replace(
        first.request_id.encode(), second.request_id.encode()
    )
    return first


def backends(*healthy: bool) -> RoundRobin:
    return RoundRobin(
        Backend(Address("127.0.0.1", port), healthy=up) for port, up in enumerate(healthy, 3000)
    )


def request(
    method: bytes = b"GET", target: bytes = b"/", version: str = "1.1", *fields: tuple[bytes, bytes]
) -> ParsedRequest:
    block = b"%b %r" % (version.encode(), repr(fields).encode())
    return ParsedRequest(method, target, version, [(b"Host", b"door"), *fields], block)


@given(healthy=st.lists(st.booleans(), min_size=1, max_size=6), picks=st.integers(1, 50))
def test_available_backends_take_turns_and_others_get_nothing(healthy: list[bool], picks: int):
    robin = backends(*healthy)
    chosen = [robin.choose() for _ in range(picks * sum(healthy))]
    for backend, up in zip(robin.backends, healthy, strict=True):
        assert chosen.count(backend) == (picks if up else 0)


@given(count=st.integers(1, 6), picks=st.integers(1, 20))
def test_when_none_is_healthy_all_of_them_are_used_in_turn(count: int, picks: int):
    robin = backends(*[False] * count)
    chosen = [robin.choose() for _ in range(picks * count)]
    assert {chosen.count(backend) for backend in robin.backends} == {picks}


@given(healthy=st.lists(st.booleans(), min_size=1, max_size=5), data=st.data())
def test_the_second_try_never_goes_to_the_backend_that_failed(healthy, data):
    robin = backends(*healthy)
    failed = data.draw(st.sampled_from(list(robin.backends)))
    other = robin.choose(failed)
    assert other is not failed
    assert (other is None) == (len(healthy) == 1)


def test_a_draining_or_full_backend_is_passed_over():
    robin = backends(True, True, True)
    robin.backends[0].draining = True
    robin.backends[1].in_flight = robin.backends[1].max_in_flight
    assert {robin.choose() for _ in range(6)} == {robin.backends[2]}


def test_a_draining_backend_is_not_even_a_last_resort():
    robin = backends(False, False)
    robin.backends[0].draining = True
    assert {robin.choose() for _ in range(4)} == {robin.backends[1]}


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


@given(
    failure=st.sampled_from(["connect", "stale", "reset", "timeout", "protocol", "status"]),
    method=st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PATCH", b"DELETE"]),
    retries=st.integers(0, 3),
    free=st.integers(0, 3),
    replayable=st.booleans(),
    forbidden=st.booleans(),
)
def test_a_request_is_repeated_only_when_that_is_safe(
    failure, method, retries, free, replayable, forbidden
):
    attempts = Attempts(retries, free)
    if may_retry(failure, method, attempts=attempts, replayable=replayable, forbidden=forbidden):
        assert replayable
        assert not forbidden
        assert method in SAFE_METHODS or failure == "connect"
        assert retries == 0 or (failure == "stale" and free == 0)


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)


@given(names=st.lists(TOKEN, max_size=8), named=st.lists(TOKEN, max_size=3))
def test_no_hop_by_hop_field_is_ever_sent_on(names: list[bytes], named: list[bytes]):
    fields = [(name, b"v") for name in [*names, *HOP_BY_HOP - {b"transfer-encoding"}]]
    head = read(
        request(b"GET", b"/", "1.1", *fields, (b"Connection", b",".join(named))),
        b"10.0.0.1",
        SETTINGS,
    )
    sent = {line.partition(b":")[0].lower() for line in head.block(5).split(b"\r\n")[1:] if line}
    assert not sent & HOP_BY_HOP
    assert not sent & (set(named) - {b"host", b"via"} - {b"content-length"})


@given(value=st.binary(max_size=30))
def test_a_content_length_is_a_plain_number_or_refused(value: bytes):
    try:
        head = read(request(b"POST", b"/", "1.1", (b"Content-Length", value)), b"", SETTINGS)
    except RefusedError as refused:
        assert refused.status in (400, 413)
    else:
        stripped = value.strip(b" \t")
        assert stripped.isdigit()
        assert b"Content-Length: %d\r\n" % int(stripped) in head.block(1)


@given(target=st.binary(min_size=1, max_size=60))
def test_a_target_that_is_sent_on_is_a_path_without_controls_or_fragment(target: bytes):
    try:
        head = read(request(b"GET", target), b"", SETTINGS)
    except RefusedError as refused:
        assert refused.status == 400
    else:
        line = head.forwarded.partition(b"\r\n")[0]
        sent = line.removeprefix(b"GET ").removesuffix(b" HTTP/1.1")
        assert sent.startswith(b"/")
        assert not set(sent) & set(b"\x00\r\n #\x7f")


def test_the_authority_of_an_absolute_target_replaces_host_and_is_never_fetched():
    head = read(request(b"GET", b"http://other.example:81/a?b"), b"", SETTINGS)
    assert head.forwarded.startswith(b"GET /a?b HTTP/1.1\r\nHost: other.example:81\r\n")
    bare = read(request(b"GET", b"http://other.example?b"), b"", SETTINGS)
    assert bare.forwarded.startswith(b"GET /?b HTTP/1.1\r\n")


def test_transfer_encoding_is_chunked_alone_in_http_1_1_or_refused():
    for value, version, status in [
        (b"gzip, chunked", "1.1", 501),
        (b"chunked", "1.0", 400),
        (b"identity", "1.1", 501),
    ]:
        with pytest.raises(RefusedError) as refused:
            read(request(b"POST", b"/", version, (b"Transfer-Encoding", value)), b"", SETTINGS)
        assert refused.value.status == status
    assert read(
        request(b"POST", b"/", "1.1", (b"Transfer-Encoding", b" Chunked ")), b"", SETTINGS
    ).framing == "chunked"  # fmt: skip


def answer(status: int, *fields: tuple[bytes, bytes], method: bytes = b"GET"):
    return read_answer(status, b"X", list(fields), request_method=method, keep_alive=True)


@pytest.mark.parametrize(
    "fields",
    [
        [(b"Content-Length", b"2"), (b"Content-Length", b"2")],
        [(b"Content-Length", b"-2")],
        [(b"Content-Length", b"2"), (b"Transfer-Encoding", b"chunked")],
        [(b"Transfer-Encoding", b"gzip")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    ],
)
def test_an_answer_whose_end_is_unclear_is_refused(fields):
    with pytest.raises(BadResponseError):
        answer(200, *fields)


def test_how_an_answer_ends_follows_from_method_status_and_fields():
    length = (b"Content-Length", b"5")
    assert answer(200, length).body_end == "length"
    assert answer(200, (b"Transfer-Encoding", b"Chunked")).body_end == "chunked"
    assert answer(200).body_end == "close"
    assert answer(200, length, method=b"HEAD").body_end == "none"
    assert answer(304, length).body_end == "none"
    assert answer(204).body_end == "none"
    assert length in answer(200, length, method=b"HEAD").fields
    assert length not in answer(204, length).fields


def test_request_ids_are_32_hex_digits_and_never_repeat():
    make = RequestIds("0123456789abcdef")
    ids = {make() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
