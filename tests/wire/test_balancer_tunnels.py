"""WebSockets through the balancer: what fails first, then what passes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.balancer_under_test import RunningBalancer, running
from tests.scripted_backend import OK, Script, ScriptedBackend, answers

ASK = (
    b"GET /chat HTTP/1.1\r\nHost: d\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  told by no event
            await asyncio.sleep(0.02)


class Door:
    """A balancer and its backend."""

    def __init__(self, balancer: RunningBalancer, backend: ScriptedBackend) -> None:
        self.backend = backend
        self.raw, self.metric = balancer.raw, balancer.metric
        self.proxy, self.log = balancer.proxy, balancer.log


@asynccontextmanager
async def door(script: Script, **options: Any) -> AsyncIterator[tuple[Door, Streams]]:
    """A balancer over one backend, and a client of it that has sent nothing yet."""
    backend = await ScriptedBackend(script).start()
    try:
        async with running(backend.address, **options) as balancer:
            streams = await asyncio.open_connection("127.0.0.1", balancer.port)
            try:
                yield Door(balancer, backend), streams
            finally:
                streams[1].close()
    finally:
        await backend.stop()


def switches(then: Script, behind: bytes = b"") -> Script:
    async def script(reader, writer, head):
        writer.write(SWITCH + behind)
        await then(reader, writer, head)

    return script


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"bye")
    writer.close()


async def waits(reader, writer, head):
    await asyncio.sleep(3600)


async def head_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readuntil(b"\r\n\r\n")


# What fails


@pytest.mark.parametrize(
    "unasked",
    [
        b"GET / HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nUpgrade: websocket\r\n\r\n",
        ASK.replace(b"GET", b"POST"),
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ASK.replace(b"Version: 13\r\n", b"Version: 13\r\nContent-Length: 0\r\n"),
    ],
)
async def test_a_101_that_was_not_asked_for_becomes_502_and_the_bytes_behind_reach_nobody(unasked):
    async with door(answers(SWITCH + b"POISON")) as (balancer, _client):
        answer = await balancer.raw(unasked, half_close=True)
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"error=http_protocol_error" in answer
        assert b"POISON" not in answer
        assert b"pgrade:" not in balancer.backend.heads[0]


@pytest.mark.parametrize(
    "switch",
    [
        SWITCH.replace(b"websocket", b"h2c"),
        SWITCH.replace(b"Connection: Upgrade\r\n", b""),
        SWITCH.replace(b"Upgrade: websocket\r\n", b""),
    ],
)
async def test_a_101_to_another_protocol_becomes_502(switch):
    async with door(answers(switch + b"POISON")) as (balancer, _client):
        answer = await balancer.raw(ASK, half_close=True)
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"POISON" not in answer


async def test_a_backend_that_will_not_switch_gives_an_ordinary_answer_and_http_goes_on():
    async def refuses(reader, writer, head):
        body = b"no" if b"/chat" in head else b"next"
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with door(refuses) as (balancer, _client):
        answer = await balancer.raw(
            ASK + b"GET /next HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        )
        assert answer.count(b"HTTP/1.1 403 No") == 2
        assert answer.endswith(b"next")


async def test_the_backend_that_refuses_the_connection_is_hidden_from_a_websocket_too():
    async with door(switches(echoes)) as (balancer, _client):
        working = balancer.backend.address
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        dead = type(working)("127.0.0.1", port)
        async with running(dead, working) as other:
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
                writer.write(ASK)
                assert (await head_of(reader)).startswith(b"HTTP/1.1 101 ")
                writer.close()


async def test_a_backend_that_is_lost_ends_the_tunnel_and_the_log_says_so():
    async def dies(reader, writer, head):
        await reader.readexactly(1)
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )
        writer.transport.abort()

    async with door(switches(dies)) as (balancer, (reader, writer)):
        writer.write(ASK)
        await head_of(reader)
        writer.write(b"x")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        await eventually(lambda: balancer.log.lines)
        assert balancer.log.lines[0]["ended"] == "backend_cut"


async def test_a_client_that_is_lost_ends_the_tunnel_and_is_nobodys_failure():
    gone = asyncio.Event()

    async def notices(reader, writer, head):
        await reader.read()
        gone.set()
        writer.close()

    async with door(switches(notices)) as (balancer, (reader, writer)):
        writer.write(ASK)
        await head_of(reader)
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
        )
        writer.transport.abort()
        async with asyncio.timeout(5):
            await gone.wait()
        await eventually(lambda: balancer.log.lines)
        assert balancer.log.lines[0]["ended"] == "client_gone"
        assert balancer.metric("balancer_client_disconnects_total") == 1
        assert balancer.proxy.in_flight == 0


async def test_a_silent_tunnel_is_closed_after_its_time_and_a_busy_one_is_not():
    async with door(switches(echoes), tunnel_idle=1.0) as (balancer, (reader, writer)):
        writer.write(ASK)
        await head_of(reader)
        for _ in range(5):
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            await asyncio.sleep(0.4)
        async with asyncio.timeout(10):
            await reader.read()
        await eventually(lambda: balancer.log.lines)
        line = balancer.log.lines[0]
        assert (line["ended"], line["status"], line["bytes"]) == ("timeout", 101, 5)
        assert line["duration_ms"] > 2000
        assert balancer.metric("balancer_requests_total", line["backend"], "GET", "101") == 1


async def test_a_drain_gives_a_tunnel_its_time_and_then_closes_it():
    async with door(switches(echoes)) as (balancer, (reader, writer)):
        writer.write(ASK)
        await head_of(reader)
        drained = asyncio.create_task(balancer.proxy.drain(linger=0, limit=1.0))
        await asyncio.sleep(0.4)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        async with asyncio.timeout(10):
            assert await reader.read() == b""
            await drained
        assert balancer.log.lines[0]["ended"] == "drained"


@pytest.mark.parametrize("reads_slowly", ["client", "backend"])
async def test_a_side_that_does_not_read_holds_the_other_back_and_not_the_memory(reads_slowly):
    sent = 0

    async def floods(reader: Any, writer: Any, head: bytes = b"") -> None:
        nonlocal sent
        piece = bytes(65536)
        for _ in range(1600):
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        writer.write_eof()

    received = asyncio.get_running_loop().create_future()
    go = asyncio.Event()

    async def takes(reader: Any, writer: Any, head: bytes = b"") -> None:
        await go.wait()
        count = 0
        while data := await reader.read(65536):
            count += len(data)
        received.set_result(count)

    script = floods if reads_slowly == "client" else takes
    async with door(switches(script)) as (balancer, (reader, writer)):
        writer.write(ASK)
        await head_of(reader)
        mine = asyncio.create_task((takes if reads_slowly == "client" else floods)(reader, writer))
        seen = -1
        while sent != seen:  # until it is held back
            seen = sent
            await asyncio.sleep(0.5)
        assert sent < 60_000_000
        tunnel = next(iter(balancer.proxy.clients)).tunnel
        assert tunnel is not None
        held = [end.transport.get_write_buffer_size() for end in (tunnel.client, tunnel.backend)]
        assert max(held) < 1_000_000
        go.set()
        async with asyncio.timeout(60):
            assert await received == 1600 * 65536
            await mine


# What passes


async def test_bytes_go_both_ways_and_a_half_close_is_passed_on():
    async with door(switches(echoes)) as (balancer, (reader, writer)):
        writer.write(ASK)
        head = await head_of(reader)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"\r\nConnection: Upgrade\r\n" in head
        assert b"\r\nUpgrade: websocket\r\n" in head
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        asked = balancer.backend.heads[0]
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in asked
        assert b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in asked
        assert balancer.proxy.tunnels == 1
        writer.write(b"\x81\x05hello")
        assert await reader.readexactly(7) == b"\x81\x05hello"
        writer.write_eof()
        async with asyncio.timeout(5):
            assert await reader.read() == b"bye"
        await eventually(lambda: balancer.log.lines)
        assert balancer.log.lines[0]["ended"] == "ok"
        assert balancer.log.lines[0]["bytes"] == 10
        assert balancer.proxy.tunnels == 0
        await eventually(lambda: not balancer.proxy.clients)
        pools = balancer.proxy.pools.values()
        await eventually(lambda: sum(pool.open_connections for pool in pools) == 0)


@pytest.mark.parametrize("cut", [0, 1, len(ASK) - 1])
async def test_bytes_right_behind_the_heads_are_not_lost(cut):
    async with door(switches(echoes, behind=b"first words")) as (_balancer, (reader, writer)):
        data = ASK + b"early words"
        writer.write(data[:cut])
        await asyncio.sleep(0.05)
        writer.write(data[cut:])
        await asyncio.sleep(0.05)
        writer.write(b" more")
        await head_of(reader)
        async with asyncio.timeout(5):
            assert await reader.readexactly(27) == b"first wordsearly words more"


async def test_early_bytes_without_end_are_held_back():
    async def late(reader, writer, head):
        await asyncio.sleep(1)
        writer.write(SWITCH)
        await echoes(reader, writer, head)

    async with door(late) as (balancer, (reader, writer)):
        writer.write(ASK)
        writer.write(bytes(20_000_000))
        await asyncio.sleep(0.5)
        client = next(iter(balancer.proxy.clients))
        assert len(client._parser.behind) < 1_000_000
        await head_of(reader)
        async with asyncio.timeout(30):
            assert len(await reader.readexactly(20_000_000)) == 20_000_000


async def test_a_websocket_behind_other_requests_waits_for_its_turn():
    async def either(reader, writer, head):
        if b"/chat" in head:
            writer.write(SWITCH)
            await echoes(reader, writer, head)
        else:
            await asyncio.sleep(0.2)
            writer.write(OK)

    async with door(either) as (_balancer, (reader, writer)):
        writer.write(b"GET /first HTTP/1.1\r\nHost: d\r\n\r\n" + ASK + b"words")
        assert (await head_of(reader)).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(2) == b"ok"
        assert (await head_of(reader)).startswith(b"HTTP/1.1 101 ")
        async with asyncio.timeout(5):
            assert await reader.readexactly(5) == b"words"
