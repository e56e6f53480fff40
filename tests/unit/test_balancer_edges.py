"""Pure parts at the balancer's edges: PROXY protocol, traces, trust, pace, generated answers."""

from __future__ import annotations

import json
import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.forwarding import Claim, TrustedProxies, believed_lines, parse_network, read_claim
from balancer.generated import Problem, prefers_text
from balancer.pace import Pace
from balancer.proxy_protocol import MOST_BYTES, SIGNATURE, Header, MalformedError, read_header
from balancer.trace_context import read_trace

PORTS = st.integers(0, 65535)


def line(family: str, source: object, destination: object, ports: tuple[int, int]) -> bytes:
    return f"PROXY {family} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def binary(command: int, family: int, addresses: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(addresses)) + addresses


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, str | None]:
    """A well-formed header and the client it names."""
    six = draw(st.booleans())
    kind = st.ip_addresses(v=6) if six else st.ip_addresses(v=4)
    client, other, ports = draw(kind), draw(kind), draw(st.tuples(PORTS, PORTS))
    if draw(st.booleans()):
        return line("TCP6" if six else "TCP4", client, other, ports), str(client)
    more = draw(st.binary(max_size=200))
    addresses = client.packed + other.packed + struct.pack("!HH", *ports) + more
    local = draw(st.booleans())
    header = binary(0 if local else 1, 0x21 if six else 0x11, addresses)
    return header, None if local else str(client)


@given(headers(), st.binary(max_size=50))
def test_a_proxy_header_is_read_whole_whatever_follows_and_never_before_its_end(made, behind):
    header, client = made
    assert read_header(header + behind) == Header(client, len(header))
    for end in range(len(header)):
        assert read_header(header[:end]) is None


@given(st.binary(max_size=300))
def test_other_bytes_are_malformed_or_wait_but_never_name_a_client_by_accident(data):
    try:
        header = read_header(data)
    except MalformedError:
        return
    assert header is None or data.startswith((b"PROXY ", SIGNATURE))


@given(st.binary(max_size=120), st.sampled_from([b"PROXY ", b"PROXY TCP4 ", SIGNATURE]))
def test_the_parser_of_proxy_headers_raises_nothing_else_and_never_waits_for_ever(data, begin):
    try:
        header = read_header(begin + data + bytes(MOST_BYTES))
    except MalformedError:
        return
    assert header is not None


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n",
        b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
        b"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 ::1 1 1\r\n",
        b"PROXY TCP6 1.1.1.1 ::1 1 1\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n" + b" " * 107,
        b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY UNKNOWN" + b"x" * 100 + b"\r\n",
        binary(2, 0x11, bytes(12)),
        binary(1, 0x13, bytes(12)),
        binary(1, 0x11, bytes(11)),
        binary(1, 0x21, bytes(35)),
        binary(1, 0x11, bytes(MOST_BYTES)),
    ],
)
def test_a_proxy_header_that_is_not_exactly_one_is_malformed(bad):
    with pytest.raises(MalformedError):
        read_header(bad)


TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        [b""],
        [b"00-" + TRACE + b"-" + PARENT],
        [b"00-" + TRACE + b"-" + PARENT + b"-01-more"],
        [b"ff-" + TRACE + b"-" + PARENT + b"-01"],
        [b"00-" + TRACE.upper() + b"-" + PARENT + b"-01"],
        [b"00-" + b"0" * 32 + b"-" + PARENT + b"-01"],
        [b"00-" + TRACE + b"-" + b"0" * 16 + b"-01"],
        [b"00-" + TRACE + b"-" + PARENT + b"-1"],
        [b"01-" + TRACE + b"-" + PARENT + b"-01x"],
        [b"00-" + TRACE + b"-" + PARENT + b"-01"] * 2,
    ],
)
def test_a_traceparent_that_is_not_valid_is_as_good_as_none(values):
    assert read_trace(values, [b"a=1"]) is None


def test_a_valid_traceparent_is_continued_also_from_a_later_version():
    for value in (b"00-%b-%b-00", b"cc-%b-%b-00", b"cc-%b-%b-00-what-comes"):
        trace = read_trace([value % (TRACE, PARENT)], None)
        assert trace is not None
        assert (trace.trace_id, trace.flags, trace.state) == (TRACE, b"00", b"")


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ([b"a=1, b=2", b"c=3"], b"a=1,b=2,c=3"),
        ([b"a=1,,b=2"], b"a=1,b=2"),
        ([b"a"], b""),
        ([b"A=1"], b""),
        ([b"a=\x01"], b""),
        ([b",".join([b"a=1"] * 33)], b""),
    ],
)
def test_tracestate_is_one_list_or_dropped(states, kept):
    trace = read_trace([b"00-%b-%b-01" % (TRACE, PARENT)], states)
    assert trace is not None
    assert trace.state == kept


@given(st.binary(max_size=80))
def test_reading_a_trace_never_lets_a_strange_byte_through(value):
    trace = read_trace([value], [value])
    if trace is not None:
        assert re.fullmatch(rb"[0-9a-f]{32}", trace.trace_id)
        assert re.fullmatch(rb"[ -~]*", trace.state)


TRUSTED = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("chain", "peer", "client"),
    [
        (b"1.2.3.4", "10.0.0.1", "1.2.3.4"),
        (b"6.6.6.6, 1.2.3.4, 10.9.9.9", "10.0.0.1", "1.2.3.4"),
        (b"10.2.2.2, 10.9.9.9", "10.0.0.1", "10.2.2.2"),
        (b"1.2.3.4,", "10.0.0.1", "10.0.0.1"),
        (b"", "10.0.0.1", "10.0.0.1"),
        (b"1.2.3.4", "8.8.8.8", "8.8.8.8"),
        (b"1.2.3.4", "::ffff:10.0.0.1", "1.2.3.4"),
    ],
)
def test_the_client_is_the_nearest_address_that_no_trusted_proxy_has(chain, peer, client):
    assert TRUSTED.client_of(Claim(chain, b"", b""), TRUSTED.peer(peer)) == client


@given(st.ip_addresses())
def test_without_trusted_networks_nobody_is_trusted(address: IPv4Address | IPv6Address):
    assert not TrustedProxies(()).trusts(str(address))


def test_what_is_malformed_in_a_claim_is_left_out():
    bad = {
        b"x-forwarded-for": [b"1.2.3.4\x80"],
        b"x-forwarded-proto": [b"gopher"],
        b"x-forwarded-host": [b"a b"],
    }
    claim = read_claim(bad)
    assert claim == Claim(b"", b"", b"")
    assert believed_lines(claim, TRUSTED.peer("10.0.0.1")) == TRUSTED.peer("10.0.0.1").lines


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.1/8", "localhost", "*"])
def test_a_network_that_is_none_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="not an address or a network"):
        parse_network(text)


@given(rate=st.floats(1, 1e6), moves=st.lists(st.floats(0, 3), min_size=60, max_size=200))
def test_who_keeps_twice_the_pace_in_every_second_is_never_too_slow(rate, moves):
    pace, moved = Pace(10.0, rate, 0.0), 0.0
    for second, extra in enumerate(moves, 1):
        moved += rate * (2 + extra)
        assert not pace.too_slow(second, int(moved), waited_for=True)


@given(st.integers(2, 100))
def test_who_drips_is_too_slow_after_one_window(window):
    pace = Pace(window, 500, 0.0)
    verdicts = [pace.too_slow(now, now, waited_for=True) for now in range(window + 1)]
    assert verdicts == [False] * window + [True]


def test_who_is_held_up_by_others_is_not_too_slow_and_nobody_is_when_nothing_is_asked():
    pace = Pace(10, 500, 0.0)
    assert not any(pace.too_slow(now, 0, waited_for=False) for now in range(100))
    pace = Pace(10, 0, 0.0)
    assert not any(pace.too_slow(now, 0, waited_for=True) for now in range(100))


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        (b"", False),
        (b"accept: */*\r\n", False),
        (b"Accept: application/json\r\n", False),
        (b"Accept: text/plain\r\n", True),
        (b"ACCEPT: text/*;q=0.5, */*;q=0.1\r\n", True),
        (b"Accept: text/plain;q=0.5, application/json\r\n", False),
        (b"Accept: text/plain;q=0\r\n", False),
        (b"Accept: image/png\r\nAccept: text/plain\r\n", True),
        (b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", False),
        (b"Accept: ;;;q=,=,,\xff\r\n", False),
        (b"X-Accept: text/plain\r\n", False),
    ],
)
def test_plain_text_is_for_those_who_would_rather_have_it(accept, text):
    assert prefers_text(b"GET / HTTP/1.1\r\nHost: d\r\n" + accept + b"\r\n") is text


@given(st.text(max_size=100), st.booleans(), st.booleans(), st.sampled_from([400, 405, 502, 503]))
def test_a_generated_answer_is_always_one_whole_answer(reason, text, close, status):
    problem = Problem(status, reason, "an-id", "http_protocol_error", text)
    head, _, body = problem.answer(close=close, head=False).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert (b"Connection: close" in head) is close
    assert (b"Retry-After: 1" in head) is (status == 503)
    assert (b"Allow: " in head) is (status == 405)
    if not text:
        assert json.loads(body) == {"error": reason, "request_id": "an-id"}
    assert problem.answer(close=close, head=True) == head + b"\r\n\r\n"
