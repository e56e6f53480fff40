"""The client never gives one request another's answer, whatever the server and the caller do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from http1 import AnswerCutError, BadAnswerError, Client, Origin
from tests.scripted_backend import (
    ScriptedBackend,
    answers,
    answers_and_closes,
    never_answers,
)


def numbered(head: bytes, more: bytes = b"") -> bytes:
    """An answer that carries the request's own number."""
    body = head.split(b" ")[1][1:]
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (len(body), body, more)


POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedBackend]:
    backend = await ScriptedBackend().start()
    yield backend
    await backend.stop()


@pytest.fixture
async def client(server: ScriptedBackend) -> AsyncIterator[Client]:
    made = Client(Origin("127.0.0.1", server.port), connections=32)
    yield made
    await made.close()


async def test_ten_thousand_calls_to_a_treacherous_server_each_get_their_own_number(
    server: ScriptedBackend, client: Client
) -> None:
    dice = random.Random(11)

    async def treacherous(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        trick = dice.random()
        if trick < 0.70:
            writer.write(numbered(head))
        elif trick < 0.75:
            writer.write(numbered(head, POISON))  # a whole answer too much, at once
        elif trick < 0.80:
            writer.write(numbered(head))
            writer.write(POISON)  # or in a packet of its own
        elif trick < 0.84:
            writer.write(b"\x00\xff garbage\r\n\r\n")
        elif trick < 0.88:
            writer.write(numbered(head)[:-1])
            writer.close()
        elif trick < 0.92:
            writer.write(numbered(head))
            writer.close()  # unannounced: the connection is stale for the next
        elif trick < 0.96:
            await asyncio.sleep(dice.random() * 0.01)  # its caller may have gone
            writer.write(numbered(head))
        else:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + numbered(head))

    server.script = treacherous
    got = failed = cancelled = 0

    async def one(number: int) -> None:
        nonlocal got, failed, cancelled
        try:
            async with asyncio.timeout(0.005 if number % 7 == 0 else 10):
                answer = await client.get(b"/%d" % number)
        except (ConnectionError, BadAnswerError):
            failed += 1
        except TimeoutError:
            cancelled += 1
        else:
            assert answer.body == b"%d" % number
            got += 1

    for start in range(0, 10_000, 50):
        await asyncio.gather(*(one(number) for number in range(start, start + 50)))
    assert got + failed + cancelled == 10_000
    assert got > 5_000
    assert failed > 300


async def test_bytes_on_an_idle_connection_close_it_before_anybody_uses_it(
    server: ScriptedBackend, client: Client
) -> None:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(numbered(head))
        asyncio.get_running_loop().call_later(0.01, writer.write, POISON)

    server.script = script
    assert (await client.get(b"/1")).body == b"1"
    await asyncio.sleep(0.05)
    assert client.pool.open_connections == 0
    assert (await client.get(b"/2")).body == b"2"


async def test_a_byte_beyond_the_answer_closes_the_connection_and_the_answer_stands(
    server: ScriptedBackend, client: Client
) -> None:
    server.script = answers(POISON + b"x")
    assert (await client.get(b"/")).body == b"POISON"
    await asyncio.sleep(0.01)
    assert client.pool.open_connections == 0


async def test_connections_are_kept_and_those_idle_for_too_long_closed(
    server: ScriptedBackend,
) -> None:
    client = Client(Origin("127.0.0.1", server.port), idle_seconds=0.05)
    for _ in range(5):
        await client.get(b"/")
    assert client.pool.open_connections == 1
    await asyncio.sleep(0.2)
    assert client.pool.open_connections == 0
    await client.close()


async def test_a_cancelled_call_closes_its_connection_and_frees_its_place(
    server: ScriptedBackend,
) -> None:
    client = Client(Origin("127.0.0.1", server.port), connections=1)
    server.script = never_answers
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.get(b"/")
    await asyncio.sleep(0.01)
    assert client.pool.open_connections == 0
    server.script = answers(POISON)
    assert (await client.get(b"/")).status == 200
    await client.close()


async def test_who_comes_when_all_connections_are_in_use_waits_in_line(
    server: ScriptedBackend,
) -> None:
    client = Client(Origin("127.0.0.1", server.port), connections=2)

    async def slowly(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await asyncio.sleep(0.002)
        writer.write(numbered(head))

    server.script = slowly
    calls = [asyncio.create_task(client.get(b"/%d" % number)) for number in range(40)]
    await asyncio.sleep(0.005)
    for call in calls[3::5]:
        call.cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    for number, answer in enumerate(done):
        if not isinstance(answer, asyncio.CancelledError):
            assert not isinstance(answer, BaseException)
            assert answer.body == b"%d" % number
    assert server.connections <= 2
    assert client.pool.open_connections <= 2
    await client.close()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ConnectionError),
        (b"SSH-2.0-x\r\n", BadAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", AnswerCutError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", BadAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde", BadAnswerError),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BadAnswerError,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", BadAnswerError),
        (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", BadAnswerError),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\n", BadAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", BadAnswerError),
    ],
)
async def test_what_is_no_answer_is_an_error_with_a_name(
    server: ScriptedBackend, client: Client, data: bytes, error: type[Exception]
) -> None:
    server.script = answers_and_closes(data)
    with pytest.raises(error):
        await client.get(b"/")
    await asyncio.sleep(0.01)
    assert client.pool.open_connections == 0


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (
            b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
        (b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
    ],
)
async def test_what_is_unusual_but_right_is_an_answer(
    server: ScriptedBackend, client: Client, data: bytes, body: bytes
) -> None:
    server.script = answers_and_closes(data)
    assert (await client.get(b"/")).body == body
