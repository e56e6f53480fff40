"""What passes through the balancer: bodies in both directions, order, limits, forwarded fields."""

from __future__ import annotations

import asyncio
import re

import pytest

from balancer.client import ClientConnection
from balancer.settings import Address
from tests.balancer_under_test import running
from tests.scripted_backend import OK, ScriptedBackend, answers, never_answers
from tests.wire.corpus.in_process import StandInOrigin, StandInTransport


async def test_backends_are_used_in_turn():
    backends = [await ScriptedBackend().start() for _ in range(3)]
    async with running(*(backend.address for backend in backends)) as balancer:
        for _ in range(30):
            await balancer.get()
    assert [len(backend.heads) for backend in backends] == [10, 10, 10]
    for backend in backends:
        await backend.stop()


async def test_connections_to_a_backend_are_kept():
    seen = set()

    async def remembers(reader, writer, head):
        seen.add(writer.get_extra_info("peername"))
        writer.write(OK)

    backend = await ScriptedBackend(remembers).start()
    async with running(backend.address) as balancer:
        for _ in range(20):
            await balancer.get()
    assert len(seen) == 1
    await backend.stop()


async def test_a_body_that_came_with_its_head_goes_on_with_it_in_one_write():
    async with running(Address("127.0.0.1", 9), listens=False) as balancer:
        client, transport = ClientConnection(balancer.proxy), StandInTransport()
        pool = next(iter(balancer.proxy.pools.values()))
        origin = StandInOrigin(pool)
        pool.take = origin.take  # type: ignore[method-assign]
        client.connection_made(transport)
        post = b"POST /%b HTTP/1.1\r\nHost: d\r\n%b\r\n\r\n%b"
        client.data_received(post % (b"length", b"Content-Length: 6", b"abc"))
        assert len(origin.written()) == 1
        client.data_received(b"def")
        assert origin.written()[1:] == [b"def"]
        origin.answer()
        client.data_received(
            post % (b"chunked", b"Transfer-Encoding: chunked", b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
        )
        assert [piece.count(b"\r\n\r\n3\r\nabc") for piece in origin.written()] == [1]
        client.connection_lost(None)


async def test_a_pipelined_body_that_comes_late_still_arrives():
    async def echoes(reader, writer, head):
        body = await reader.readexactly(6) if b"Content-Length" in head else b"none"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    backend = await ScriptedBackend(echoes).start()
    async with running(backend.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(
            b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabc"
        )
        await asyncio.sleep(0.2)
        writer.write(b"def")
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"abcdef")
        writer.close()
    await backend.stop()


async def test_waiting_behind_others_counts_against_no_time_out():
    async def slowly(reader, writer, head):
        await asyncio.sleep(0.25)
        writer.write(OK)

    backend = await ScriptedBackend(slowly).start()
    async with running(backend.address, total_timeout=0.8) as balancer:
        one = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
        answer = await balancer.raw(one * 5 + one[:-2] + b"Connection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 OK") == 6
    await backend.stop()


async def test_answers_that_nobody_reads_are_held_back_behind_each_other_too():
    sent = 0

    async def floods(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 65536000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def fills(reader, writer, head):
        if b"/fill" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"y" * 8000000)
        else:
            await floods(writer)

    backend = await ScriptedBackend(fills).start()
    async with running(backend.address) as balancer:
        _reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port, limit=1024)
        writer.write(b"GET /fill HTTP/1.1\r\nHost: d\r\n\r\nGET /flood HTTP/1.1\r\nHost: d\r\n\r\n")
        await asyncio.sleep(1.5)
        assert sent < 32_000_000
        writer.transport.abort()
    await backend.stop()


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"5;a="])
async def test_trailers_and_chunk_extensions_without_end_are_refused(endless):
    backend = await ScriptedBackend(never_answers).start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
            + endless
            + b"a" * 600_000
        )
        assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    await backend.stop()


async def test_pipelined_requests_are_answered_in_order():
    async def echoes_path(reader, writer, head):
        path = head.split(b" ")[1]
        if path == b"/0":
            await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    backends = [await ScriptedBackend(echoes_path).start() for _ in range(2)]
    async with running(*(backend.address for backend in backends)) as balancer:
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: d\r\n\r\n" % n for n in range(9))
        answer = await balancer.raw(
            requests + b"GET /9 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        )
    assert re.findall(rb"\r\n\r\n/(\d)", answer) == [b"%d" % n for n in range(10)]
    for backend in backends:
        await backend.stop()


async def test_a_good_request_is_answered_before_the_bad_one_behind_it():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(b"GET / HTTP/1.1\r\nHost: d\r\n\r\nGET / HTTP/9.9\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"505"]
    await backend.stop()


async def test_a_request_that_comes_byte_by_byte_is_understood():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        for byte in b"GET /slow HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
    await backend.stop()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_passes_unchanged_in_both_directions(chunked):
    body = bytes(range(256)) * 2048  # 512 KiB, more than any buffer on the way

    async def echoes(reader, writer, head):
        received = b""
        if b"chunked" in head:
            while size := int((await reader.readline()), 16):
                received += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(received), received))
        else:
            received = await reader.readexactly(len(body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(received))
            writer.write(received)
        await writer.drain()

    backend = await ScriptedBackend(echoes).start()
    async with running(backend.address) as balancer:
        if chunked:
            framing, wire = (
                b"Transfer-Encoding: chunked",
                b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
            )
        else:
            framing, wire = b"Content-Length: %d" % len(body), body
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\n%b\r\nConnection: close\r\n\r\n%b" % (framing, wire)
        )
    head, _, payload = answer.partition(b"\r\n\r\n")
    if chunked:
        payload = _dechunk(payload)
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert payload == body
    await backend.stop()


def _dechunk(wire: bytes) -> bytes:
    body = b""
    while True:
        line, _, wire = wire.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return body
        body, wire = body + wire[:size], wire[size + 2 :]


async def test_pieces_of_an_answer_arrive_while_it_is_still_being_made():
    finish = asyncio.Event()

    async def streams(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await finish.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    backend = await ScriptedBackend(streams).start()
    async with running(backend.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b"first")
        finish.set()
        assert b"last" in await reader.read()
        writer.close()
    await backend.stop()


async def test_a_slow_reader_holds_the_backend_back_and_not_the_memory():
    sent = 0

    async def floods(reader, writer, head):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2000):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    backend = await ScriptedBackend(floods).start()
    async with running(backend.address) as balancer:
        _reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await asyncio.sleep(1.0)
        stalled_at = sent
        await asyncio.sleep(0.5)
        assert sent == stalled_at  # nobody reads: nothing moves
        assert sent < 32_000_000  # socket buffers and no more, of 131 MB
        writer.transport.abort()
    await backend.stop()


async def test_an_answer_that_ends_with_the_connection_is_chunked_for_the_client():
    async def until_close(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    backend = await ScriptedBackend(until_close).start()
    async with running(backend.address) as balancer:
        answer = await balancer.get()
        assert answer.endswith(b"9\r\nall of it\r\n0\r\n\r\n")
        old = await balancer.raw(b"GET / HTTP/1.0\r\n\r\n")
        assert old.endswith(b"\r\n\r\nall of it")
        assert b"chunked" not in old
    await backend.stop()


async def test_head_304_and_interim_answers_are_understood_and_the_connection_goes_on():
    async def by_path(reader, writer, head):
        if head.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        elif b"/304" in head:
            writer.write(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)

    backend = await ScriptedBackend(by_path).start()
    async with running(backend.address) as balancer:
        for _ in range(3):
            assert b"Content-Length: 1000" in await balancer.get(method="HEAD")
            assert (await balancer.get("/304")).startswith(b"HTTP/1.1 304")
            assert (await balancer.get()).endswith(b"\r\n\r\nok")
    await backend.stop()


async def test_a_client_that_half_closes_after_its_request_still_gets_the_answer():
    async def slowly(reader, writer, head):
        await asyncio.sleep(0.1)
        writer.write(OK)

    backend = await ScriptedBackend(slowly).start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n", half_close=True)
        assert answer.endswith(b"ok")
    await backend.stop()


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: d\r\n\r\n"


@pytest.mark.parametrize("cut", range(0, 260, 7))
@pytest.mark.parametrize("chunked", [False, True])
async def test_the_body_of_a_request_that_asks_for_an_upgrade_is_never_a_request(chunked, cut):
    paths, bodies = [], []

    async def reads(reader, writer, head):
        paths.append(head.split(b" ")[1])
        if b"chunked" in head:
            bodies.append(b"")
            while size := int(await reader.readline(), 16):
                bodies[-1] += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        elif b"Content-Length" in head:
            bodies.append(await reader.readexactly(len(SMUGGLED)))
        writer.write(OK)

    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(SMUGGLED)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if chunked else SMUGGLED
    sent = (
        b"POST /1 HTTP/1.1\r\nHost: d\r\nConnection: upgrade\r\nUpgrade: x\r\n%b\r\n\r\n%b"
        b"GET /2 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n" % (framing, body)
    )
    backend = await ScriptedBackend(reads).start()
    async with running(backend.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(sent[:cut])
        await writer.drain()
        await asyncio.sleep(0.001)
        writer.write(sent[cut:])
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
    assert paths == [b"/1", b"/2"]
    assert bodies == [SMUGGLED]
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    await backend.stop()


async def test_expect_100_continue_is_answered_before_the_body():
    async def reads_body(reader, writer, head):
        assert b"Expect" not in head
        await reader.readexactly(3)
        writer.write(OK)

    backend = await ScriptedBackend(reads_body).start()
    async with running(backend.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
            b"Connection: close\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.read()).endswith(b"ok")
        writer.close()
    await backend.stop()


async def test_forwarded_fields_are_the_balancers_own_and_hop_by_hop_fields_stop_here():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        await balancer.raw(
            b"GET /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\nX-Forwarded-For: 6.6.6.6\r\n"
            b"X-Real-Ip: 6.6.6.6\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nTE: gzip\r\n"
            b"Upgrade: h2c\r\nProxy-Authorization: x\r\nX-Kept: yes\r\n\r\n"
        )
    head = backend.heads[0]
    assert head.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\n")
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
    assert b"X-Forwarded-Host: shop.example:8080\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head
    assert b"X-Kept: yes\r\n" in head
    assert re.search(rb"X-Request-Id: [0-9a-f]{32}\r\n", head)
    assert 4000 < int(re.findall(rb"X-Request-Timeout-Ms: (\d+)", head)[0]) <= 5000
    for gone in (b"6.6.6.6", b"X-Secret", b"TE:", b"Upgrade", b"Proxy-Auth", b"Connection"):
        assert gone not in head
    await backend.stop()


async def test_a_request_id_that_is_well_formed_is_kept_and_sent_back():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(
            b"GET / HTTP/1.1\r\nHost: d\r\nX-Request-Id: abc-123\r\nConnection: close\r\n\r\n"
        )
    assert b"X-Request-Id: abc-123\r\n" in answer
    assert b"X-Request-Id: abc-123\r\n" in backend.heads[0]
    assert balancer.log.lines[0]["request_id"] == "abc-123"
    await backend.stop()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff0\r\n"
            + b"a" * 1100000,
            413,
        ),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        (b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 501),
        (b"GET_PARAMETER / RTSP/1.0\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
async def test_a_request_without_one_meaning_is_refused_and_the_connection_closed(
    request_bytes, status
):
    backend = await ScriptedBackend(never_answers).start()
    async with running(backend.address) as balancer:
        answer = await balancer.raw(request_bytes)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"Connection: close" in answer
        assert b'"request_id": "' in answer
        assert balancer.proxy.in_flight == 0
    await backend.stop()


async def test_more_requests_in_flight_than_allowed_are_answered_503_at_once():
    hung = await ScriptedBackend(never_answers).start()
    async with running(hung.address, max_in_flight=1, first_byte_timeout=1.0) as balancer:
        first = asyncio.create_task(balancer.get())
        while not hung.heads:  # noqa: ASYNC110  another task's progress
            await asyncio.sleep(0.01)
        answer = await balancer.get()
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in answer
        assert (await first).startswith(b"HTTP/1.1 504")
    await hung.stop()


async def test_a_client_that_drips_its_head_is_cut_off():
    backend = await ScriptedBackend().start()
    async with running(backend.address, head_timeout=0.3) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        answer = asyncio.create_task(reader.read())
        for byte in b"GET / HTTP/1.1\r\nHost: door.example\r\n":
            if answer.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            assert (await answer).startswith(b"HTTP/1.1 408")
        writer.close()
    await backend.stop()


async def test_a_drain_finishes_what_is_in_flight_and_closes_what_is_idle():
    async def slowly(reader, writer, head):
        await asyncio.sleep(0.3)
        writer.write(OK)

    backend = await ScriptedBackend(slowly).start()
    async with running(backend.address) as balancer:
        busy = asyncio.create_task(balancer.raw(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"))
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        await asyncio.sleep(0.1)
        await balancer.proxy.drain(linger=0.05, limit=5)
        answer = await busy
        assert answer.endswith(b"ok")
        assert b"Connection: close" in answer
        assert await idle_reader.read() == b""
        idle_writer.close()
    await backend.stop()


async def test_a_thousand_pipelined_requests_that_are_refused_do_not_recurse():
    hung = await ScriptedBackend(answers(OK)).start()
    async with running(hung.address, max_in_flight=1) as balancer:
        balancer.proxy.in_flight = 1
        one = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
        answer = await balancer.raw(one * 1999 + one[:-2] + b"Connection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 503") == 2000
        balancer.proxy.in_flight = 0
    await hung.stop()
