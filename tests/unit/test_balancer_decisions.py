"""What the balancer makes of heads, without a socket."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.forwarding import TrustedProxies
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
from balancer.settings import Address, Member, Settings

SETTINGS = Settings(
    listen=Address("127.0.0.1", 1),
    admin=Address("127.0.0.1", 2),
    backends=(Member(Address("a", 1)),),
)


def read(parsed: ParsedRequest, peer: bytes, settings: Settings) -> RequestHead:
    """Reads it twice, the second time from memory: both mean the same."""
    heads = RequestHeads(settings, RequestIds("00" * 8))
    first, second = (heads.read(parsed, TrustedProxies(()).peer(peer.decode())) for _ in range(2))
    assert _without_ids(second) == _without_ids(first)
    return first


def _without_ids(head: RequestHead) -> RequestHead:
    forwarded = re.sub(rb"(X-Request-Id|traceparent): .*", rb"\1", head.forwarded)
    return replace(head, request_id="", trace_id="", forwarded=forwarded)


def request(
    method: bytes = b"GET", target: bytes = b"/", version: str = "1.1", *fields: tuple[bytes, bytes]
) -> ParsedRequest:
    block = b"%b %r" % (version.encode(), repr(fields).encode())
    return ParsedRequest(method, target, version, [(b"Host", b"door"), *fields], block)


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
