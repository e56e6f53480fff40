"""Clients that are slow, gone, half gone or hesitant, and what the balancer's own answers say."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from contextlib import suppress
from ipaddress import ip_network

import pytest

from balancer.settings import Address
from tests.balancer_under_test import running
from tests.scripted_backend import OK, ScriptedBackend, answers, never_answers

FIRMLY = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an orderly close


def nobody() -> Address:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", free.getsockname()[1])


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()


# Clients that hold others up


async def test_a_body_that_drips_is_refused_though_it_never_stands_still():
    backend = await ScriptedBackend(never_answers).start()
    async with running(backend.address, body_timeout=1.0, min_rate=500) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n")

        async def drips() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drips())
        async with asyncio.timeout(10):
            answer = await reader.read()
        dripping.cancel()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"too slowly" in answer
        assert balancer.proxy.in_flight == 0
        assert backend.heads
        errors = balancer.metric("balancer_upstream_errors_total", str(backend.address), "timeout")
        assert errors == 0
        writer.close()
    await backend.stop()


async def test_a_body_that_comes_after_a_pause_that_was_too_long_is_no_request():
    """Desynchronisation by pauses: who gives the body up must not read it as what comes next."""
    late = b"GET /late HTTP/1.1\r\nHost: d\r\n\r\n"
    backend = await ScriptedBackend().start()
    async with running(backend.address, body_timeout=0.3) as balancer:
        for framing, body in (
            (b"Content-Length: %d" % len(late), late),
            (b"Transfer-Encoding: chunked", b"0\r\n\r\n" + late),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
            writer.write(b"POST / HTTP/1.1\r\nHost: d\r\n%b\r\n\r\n" % framing)
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.write(body)
            answer += await reader.read()
            writer.close()
            assert answer.count(b"HTTP/1.1 ") == 1
            assert b"\r\nConnection: close\r\n" in answer
        assert not [head for head in backend.heads if head.startswith(b"GET /late")]
    await backend.stop()


async def test_a_body_that_the_backend_does_not_take_is_not_the_clients_fault():
    backend = await ScriptedBackend(never_answers).start()
    async with running(backend.address, body_timeout=0.5, max_body=0) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 50000000\r\n\r\n")
        writer.write(bytes(50_000_000))
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 504 ")
        writer.close()
    await backend.stop()


async def test_a_client_that_reads_too_slowly_is_cut_off_and_not_the_backends_failure():
    async def floods(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            writer.write(bytes(100_000))
            await writer.drain()

    backend = await ScriptedBackend(floods).start()
    async with running(backend.address, body_timeout=0.5) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readexactly(10)
        async with asyncio.timeout(10):
            while not balancer.log.lines:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert balancer.log.lines[0]["ended"] == "client_too_slow"
        errors = balancer.metric("balancer_upstream_errors_total", str(backend.address), "timeout")
        assert errors == 0
        writer.close()
    await backend.stop()


# Streams that are silent


@pytest.mark.parametrize(
    ("media", "cut"),
    [
        (b"text/event-stream", False),
        (b"Text/Event-Stream; charset=utf-8", False),
        (b"text/event-stream-of-others", True),
        (b"application/json", True),
    ],
)
async def test_a_stream_of_events_may_be_silent_for_as_long_as_a_websocket(media, cut):
    async def one_now_one_later(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\ndata: 1\n\n" % media)
        await asyncio.sleep(0.9)
        writer.write(b"data: 2\n\n")
        writer.close()

    backend = await ScriptedBackend(one_now_one_later).start()
    async with running(backend.address, body_timeout=0.3, tunnel_idle=5.0) as balancer:
        answer = b""
        with suppress(ConnectionResetError):
            answer = await balancer.get()
        assert answer.endswith(b"data: 2\n\n\r\n0\r\n\r\n") is not cut
        assert balancer.log.lines[0]["ended"] == ("timeout" if cut else "ok")
    await backend.stop()


async def test_a_stream_of_events_that_is_silent_for_longer_ends_visibly_incomplete():
    async def one(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await asyncio.sleep(10)

    backend = await ScriptedBackend(one).start()
    async with running(backend.address, body_timeout=0.1, tunnel_idle=0.4) as balancer:
        with suppress(ConnectionResetError):
            assert not (await balancer.get()).endswith(b"0\r\n\r\n")
        assert balancer.log.lines[0]["ended"] == "timeout"
        assert balancer.log.lines[0]["duration_ms"] >= 400
    await backend.stop()


async def test_a_client_that_does_not_read_events_gets_no_longer_time_for_that():
    async def floods(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for _ in range(1000):
            writer.write(b"data: " + b"x" * 100_000 + b"\n\n")
            await writer.drain()

    backend = await ScriptedBackend(floods).start()
    async with running(backend.address, body_timeout=0.5, tunnel_idle=60.0) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readexactly(10)
        async with asyncio.timeout(10):
            while not balancer.log.lines:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert balancer.log.lines[0]["ended"] == "client_too_slow"
        writer.close()
    await backend.stop()


# Clients that go


@pytest.mark.parametrize("half_closes", [False, True])
async def test_a_client_that_is_gone_stops_the_work_and_is_nobodys_failure(half_closes):
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def works(reader, writer, head):
        asked.set()
        await reader.read()
        stopped.set()

    backend = await ScriptedBackend(works).start()
    async with running(backend.address) as balancer:
        _reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await until(asked)
        if half_closes:
            writer.write_eof()
            await asyncio.sleep(0.1)
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, FIRMLY
        )
        writer.transport.abort()
        async with asyncio.timeout(2):
            await stopped.wait()
        line = balancer.log.lines[0]
        assert (line["status"], line["ended"]) == (499, "client_gone")
        for kind in ("reset", "timeout", "protocol"):
            errors = ("balancer_upstream_errors_total", str(backend.address), kind)
            assert balancer.metric(*errors) == 0
    await backend.stop()


async def test_a_client_that_half_closes_and_waits_gets_a_late_answer():
    async def slowly(reader, writer, head):
        await asyncio.sleep(0.6)
        writer.write(OK)

    backend = await ScriptedBackend(slowly).start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n", half_close=True)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"ok")
    await backend.stop()


# Expect: 100-continue


async def test_100_is_said_only_when_a_backend_takes_the_body():
    async with running(nobody()) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    ("fields", "status"),
    [(b"Content-Length: 2000000\r\n", b"413"), (b"Content-Length: x\r\n", b"400")],
)
async def test_a_body_that_would_be_refused_is_not_asked_for(fields, status):
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\n" + fields + b"\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 " + status)
    await backend.stop()


async def test_an_answer_instead_of_100_ends_the_connection():
    backend = await ScriptedBackend(
        answers(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
    ).start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert b"HTTP/1.1 401 No\r\n" in answer
        assert b"Connection: close\r\n" in answer
    await backend.stop()


async def test_no_100_for_a_body_that_is_there_and_none_for_http_1_0():
    async def takes(reader, writer, head):
        await reader.readexactly(5)
        writer.write(OK)

    backend = await ScriptedBackend(takes).start()
    async with running(backend.address) as balancer:
        for version in (b"1.0", b"1.1"):
            answer = await balancer.raw(
                b"POST / HTTP/%b\r\nHost: d\r\nExpect: 100-continue\r\nConnection: close\r\n"
                b"Content-Length: 5\r\n\r\nhello" % version
            )
            assert b"HTTP/1.1 200 OK" in answer
            if version == b"1.0":
                assert b"100 Continue" not in answer
    await backend.stop()


# Where a request comes from


CLAIM = (
    b"GET / HTTP/1.1\r\nHost: d\r\nX-Forwarded-For: 203.0.113.9, 10.1.1.1\r\n"
    b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nConnection: close\r\n\r\n"
)


async def test_forwarded_fields_are_believed_of_trusted_proxies_alone():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        await balancer.raw(CLAIM)
        assert balancer.log.lines[0]["client"] == "127.0.0.1"
    trusted = tuple(map(ip_network, ("127.0.0.0/8", "10.0.0.0/8")))
    async with running(backend.address, trusted_proxies=trusted) as balancer:
        await balancer.raw(CLAIM)
        assert balancer.log.lines[0]["client"] == "203.0.113.9"
    stranger, known = backend.heads
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" in stranger
    assert b"X-Forwarded-Host: d\r\n" in stranger
    assert b"\r\nX-Forwarded-For: 203.0.113.9, 10.1.1.1, 127.0.0.1\r\n" in known
    assert b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n" in known
    for head in backend.heads:
        assert len(re.findall(rb"(?i)x-forwarded-\w+:", head)) == 3
    await backend.stop()


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n", "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x13\x88\0\x50",
            "192.0.2.7",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1"),
    ],
)
async def test_the_proxy_protocol_tells_who_the_client_is(header, address):
    backend = await ScriptedBackend().start()
    async with running(backend.address, proxy_protocol=True) as balancer:
        ask = b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        for cut in (0, 1, len(header) - 1, len(header)):
            reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
            data = header + ask
            writer.write(data[:cut])
            await asyncio.sleep(0.02)
            writer.write(data[cut:])
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        assert {line["client"] for line in balancer.log.lines} == {address}
        assert b"X-Forwarded-For: %b\r\n" % address.encode() in backend.heads[0]
    await backend.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: d\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 70000 80\r\nGET / HTTP/1.1\r\nHost: d\r\n\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + bytes(12),
    ],
)
async def test_without_a_proxy_header_the_connection_is_closed_without_a_word(data):
    backend = await ScriptedBackend().start()
    async with running(backend.address, proxy_protocol=True) as balancer:
        with suppress(ConnectionResetError):
            assert await balancer.raw(data) == b""
    assert not backend.heads
    await backend.stop()


async def test_a_proxy_header_that_never_ends_is_waited_for_as_long_as_a_head():
    async with running(nobody(), proxy_protocol=True, head_timeout=0.3) as balancer:
        with suppress(ConnectionResetError):
            assert await balancer.raw(b"PROXY TCP4 ") == b""


# Traces and deadlines


async def test_a_trace_is_continued_or_made_and_stands_in_the_log():
    trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        for fields in (
            b"traceparent: 00-%b-00f067aa0ba902b7-00\r\ntracestate: a=1\r\n" % trace,
            b"traceparent: 00-%b-0000000000000000-00\r\ntracestate: a=1\r\n" % trace,
            b"tracestate: a=1\r\n",
        ):
            await balancer.raw(
                b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n" + fields + b"\r\n"
            )
        kept, *made = (
            re.findall(rb"traceparent: 00-(\w{32})-(\w{16})-(\w\w)\r\n", head)
            for head in backend.heads
        )
        assert kept[0][0] == trace
        assert kept[0][1] != b"00f067aa0ba902b7"
        assert kept[0][2] == b"00"
        assert b"\r\ntracestate: a=1\r\n" in backend.heads[0]
        for (one,), head in zip(made, backend.heads[1:], strict=True):
            assert one[0] != trace
            assert b"tracestate" not in head
        logged = [line["trace_id"].encode() for line in balancer.log.lines]
        assert logged == [found[0][0] for found in (kept, *made)]
    await backend.stop()


@pytest.mark.parametrize("value", [b"99999", b"0", b"-1", b"1e3", b"300, 300", b""])
async def test_a_clients_own_deadline_counts_only_if_it_is_a_smaller_number(value):
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        await balancer.raw(
            b"GET / HTTP/1.1\r\nHost: d\r\nX-Request-Timeout-Ms: %b\r\n"
            b"Connection: close\r\n\r\n" % value
        )
    told = re.findall(rb"(?i)x-request-timeout-ms: (\d+)", backend.heads[0])
    assert len(told) == 1
    assert 1000 < int(told[0]) <= 5000
    await backend.stop()


async def test_a_client_that_asks_for_too_little_time_is_no_backends_failure():
    backend = await ScriptedBackend(never_answers).start()
    async with running(backend.address, eject_after=1) as balancer:
        answer = await balancer.raw(
            b"GET / HTTP/1.1\r\nHost: d\r\nX-Request-Timeout-Ms: 200\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"error=http_response_timeout" in answer
        assert int(re.findall(rb"Timeout-Ms: (\d+)", backend.heads[0])[0]) <= 200
        label = str(backend.address)
        assert balancer.metric("balancer_upstream_errors_total", label, "timeout") == 0
        assert not balancer.proxy.backends[0].ejected
    await backend.stop()


# What the balancer's own answers say


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        (answers(b"SSH-2.0-x\r\n\r\n"), 502, "http_protocol_error"),
        (never_answers, 504, "http_response_timeout"),
    ],
)
async def test_an_answer_of_its_own_names_the_kind_of_error(script, status, error):
    backend = await ScriptedBackend(script).start()
    async with running(backend.address, first_byte_timeout=0.2) as balancer:
        answer = await balancer.get()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nProxy-Status: balancer; error=%b\r\n" % error.encode() in head
        told = json.loads(body)
        line = balancer.log.lines[0]
        assert told["request_id"] == line["request_id"]
        assert (line["ended"], line["error"]) == ("refused", error)
    await backend.stop()


async def test_a_refused_connection_is_named_in_text_for_those_who_want_text():
    async with running(nobody()) as balancer:
        answer = await balancer.raw(
            b"GET / HTTP/1.1\r\nHost: d\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"\r\nProxy-Status: balancer; error=connection_refused\r\n" in head
        assert b"\r\nContent-Type: text/plain; charset=utf-8\r\n" in head
        assert body.startswith(b"502 Bad Gateway: ")
        assert balancer.log.lines[0]["request_id"].encode() in body


async def test_what_is_refused_at_the_head_is_answered_and_logged_as_far_as_it_was_understood():
    async with running(nobody()) as balancer:
        answer = await balancer.raw(b"HEAD /x HTTP/1.1\r\nHost: d\r\nExpect: wonders\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 417 ")
        assert b"error=http_request_error" in answer
        assert answer.endswith(b"\r\n\r\n")
        line = balancer.log.lines[0]
        assert (line["method"], line["path"], line["status"]) == ("HEAD", "/x", 417)
