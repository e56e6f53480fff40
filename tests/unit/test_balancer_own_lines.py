"""Heads that differ in their request's own lines only are remembered, and mean what they say."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from balancer.forwarding import TrustedProxies
from balancer.own_lines import without_own_lines
from balancer.request_head import ParsedRequest, RequestHead, RequestHeads
from balancer.request_id import RequestIds
from balancer.request_parser import RequestParser
from balancer.settings import Address, Member, Settings

SETTINGS = Settings(
    listen=Address("127.0.0.1", 1),
    admin=Address("127.0.0.1", 2),
    backends=(Member(Address("a", 1)),),
    max_fields=8,
)
TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
STATE = b"Host: door\r\ntracestate: vendor=x"
OWN_LINES = st.sampled_from(
    [
        b"X-Request-Id: one", b"X-Request-ID: two", b"x-request-id: three", b"X-REQUEST-ID: four",
        b"X-Request-Id:  five", b"X-Request-Id: six ", b"X-Request-Id: no id", b"X-Request-Id:",
        b"X-Request-Id: " + b"7" * 128, b"X-Request-Id: " + b"8" * 129,
        b"traceparent: " + TRACE, b"Traceparent: " + TRACE.replace(b"a", b"c"),
        b"TRACEPARENT: " + TRACE, b"traceparent: " + TRACE.replace(b"a", b"0"),
        b"traceparent: 01" + TRACE[2:], b"traceparent: " + TRACE + b"-more", b"traceparent: no",
        b"tracestate: vendor=x",
    ]
)  # fmt: skip
OTHER_LINES = st.sampled_from(
    [
        b"Connection: x-request-id", b"Connection: traceparent", b"Accept: */*",
        b"X-Other: X-Request-Id: one", b"Content-Length: 0", b"Host: twice",
        b"X-Forwarded-For: 10.1.1.1", b"X-Fold: a\r\n X-Request-Id: one", b"bad name: x",
    ]
)  # fmt: skip


@st.composite
def rows_of_heads(draw: st.DrawFn) -> list[bytes]:
    """Heads that differ in their own lines, of which one is another's and one or two more."""
    others = draw(st.lists(OTHER_LINES, max_size=3))
    own: list[bytes] = []
    row = []
    for _ in range(draw(st.integers(2, 4))):
        if draw(st.booleans()):
            own = draw(st.lists(OWN_LINES, max_size=3))
        else:
            own = [*own[:2], draw(OWN_LINES)]
        row.append(b"\r\n".join([b"Host: door", *own, *others]))
    return row


class _SameIds(RequestIds):
    def __call__(self) -> str:
        return "f" * 32


class Reader:
    """What a parser and its memory make of one request after the other."""

    def __init__(self) -> None:
        self.heads = RequestHeads(SETTINGS, _SameIds("00" * 8))
        self.parsed: list[ParsedRequest] = []
        self._said: RequestHead | tuple[int, str] | None = None

    def read(self, fields: bytes) -> RequestHead | tuple[int, str] | None:
        self._said = None
        parser = RequestParser(self, self.heads.known, SETTINGS)
        parser.feed(b"GET /path HTTP/1.1\r\n%b\r\n\r\n" % fields)
        return self._said

    def request_head(self, parsed: ParsedRequest) -> RequestHead:
        self.parsed.append(parsed)
        said = self.heads.read(parsed, TrustedProxies((ip_network("10.0.0.0/8"),)).peer("10.0.0.1"))
        self._said = replace(said, fields=replace(said.fields, request_id=None, trace=None))
        return said

    def request_body(self, data: bytes) -> None: ...
    def request_end(self) -> None: ...
    def pause_reading(self) -> None: ...

    def refuse(self, status: int, reason: str) -> None:
        self._said = (status, reason)


@example([STATE, STATE + b"\r\ntraceparent: " + TRACE])
@given(rows_of_heads())
def test_what_was_read_before_changes_nothing(row: list[bytes]):
    remembering = Reader()
    for head in row:
        assert remembering.read(head) == Reader().read(head)


@pytest.mark.parametrize(
    "line",
    [b"X-Request-Id: %d", b"X-Request-ID: %d", b"x-request-id: %d",
     b"traceparent: 00-%032d-00000000000000ff-01", b"Traceparent: 00-%032d-00000000000000ff-00",
     b"X-Request-Id: %d\r\ntraceparent: 00-000000000000000000000000000000ff-00000000000000ff-01"],
)  # fmt: skip
def test_the_rest_of_a_head_is_looked_at_once(line: bytes):
    reader = Reader()
    said = [reader.read(b"Host: door\r\n%b\r\nAccept: */*" % (line % number)) for number in (1, 2)]
    assert [bool(parsed.fields) for parsed in reader.parsed] == [True, False]
    assert said[0] != said[1], "each has its own id, or its own trace"


def test_an_id_that_is_remembered_without_is_not_given_to_others():
    reader = Reader()
    assert reader.read(b"Host: door\r\nX-Request-Id: mine").request_id == "mine"  # type: ignore[union-attr]
    assert reader.read(b"Host: door").request_id == "f" * 32  # type: ignore[union-attr]


def test_a_head_that_is_full_has_no_room_for_an_id():
    full = b"Host: door" + b"".join(b"\r\nX-%d: x" % number for number in range(7))
    reader = Reader()
    assert isinstance(reader.read(full), RequestHead)
    assert reader.read(full + b"\r\nX-Request-Id: one") == (431, "more than 8 header fields")


@given(st.binary(max_size=200))
def test_nothing_but_whole_lines_is_cut_out(block: bytes):
    rest, own = without_own_lines(block + b"\r\n\r\n")
    assert rest.endswith(b"\r\n\r\n")
    assert (rest == block + b"\r\n\r\n") == (own.request_id is None and own.trace is None)
