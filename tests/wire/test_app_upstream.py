"""The client of the external service against one that misbehaves in every way."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from app.resilience import (
    AttemptError,
    CallPolicy,
    Outcome,
    ResilientCall,
    Result,
    RetryPolicy,
    Source,
)
from app.settings import BODY_LIMIT, UpstreamSettings
from app.upstream import HttpUpstream
from tests.redis_server import free_port
from tests.scripted_backend import (
    Script,
    ScriptedBackend,
    answers,
    answers_and_closes,
    never_answers,
)

GOOD = b'{"timestamp":1,"message":"External service OK"}'


def ok(body: bytes, *fields: bytes) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields])
    return head + b"\r\n\r\n" + body


def status(number: int, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d X" % number, b"Content-Length: 0", *fields, b"", b""])


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def resets_in_the_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    writer.write(ok(GOOD)[:-10])
    await asyncio.sleep(0.05)
    await resets(reader, writer, head)


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    for byte in ok(GOOD):
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        await writer.drain()


@pytest.fixture
async def service() -> AsyncIterator[ScriptedBackend]:
    backend = await ScriptedBackend(answers(ok(GOOD))).start()
    yield backend
    await backend.stop()


@pytest.fixture
async def upstream(service: ScriptedBackend) -> AsyncIterator[HttpUpstream]:
    client = HttpUpstream(UpstreamSettings(url=f"http://127.0.0.1:{service.port}/data"))
    yield client
    await client.close()


async def fetch(upstream: HttpUpstream, seconds: float = 0.3) -> dict[str, object]:
    async with asyncio.timeout(seconds):
        return await upstream.fetch(seconds, "some-id")


TRUNCATED = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + GOOD
CHUNKED_TRUNCATED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + GOOD
PACKED = gzip.compress(GOOD)  # nobody asked for that
NOISE = b"\x00\xffxx\r\n" * 9
DEEP = b'{"a":' * 9000 + b"1" + b"}" * 9000


@pytest.mark.parametrize(
    ("script", "outcome", "retryable"),
    [
        pytest.param(answers(status(500)), Outcome.HTTP_ERROR, True, id="500"),
        pytest.param(answers(status(503)), Outcome.HTTP_ERROR, True, id="503"),
        pytest.param(answers(status(599)), Outcome.HTTP_ERROR, True, id="599"),
        pytest.param(answers(status(501)), Outcome.HTTP_ERROR, False, id="501"),
        pytest.param(answers(status(404)), Outcome.HTTP_ERROR, False, id="404"),
        pytest.param(answers(status(429)), Outcome.HTTP_ERROR, False, id="429"),
        pytest.param(answers(status(302, b"Location: /")), Outcome.HTTP_ERROR, False, id="302"),
        pytest.param(answers(status(204)), Outcome.BAD_ANSWER, True, id="no body"),
        pytest.param(resets, Outcome.CONNECT_ERROR, True, id="reset"),
        pytest.param(answers_and_closes(b""), Outcome.CONNECT_ERROR, True, id="closed"),
        pytest.param(answers_and_closes(b"HTTP/1.1 2"), Outcome.CONNECT_ERROR, True, id="half"),
        pytest.param(resets_in_the_body, Outcome.BAD_ANSWER, True, id="reset in the body"),
        pytest.param(answers_and_closes(TRUNCATED), Outcome.BAD_ANSWER, True, id="truncated"),
        pytest.param(
            answers_and_closes(CHUNKED_TRUNCATED), Outcome.BAD_ANSWER, True, id="truncated chunk"
        ),
        pytest.param(answers_and_closes(NOISE), Outcome.BAD_ANSWER, True, id="noise"),
        pytest.param(answers(ok(b"<html>")), Outcome.BAD_ANSWER, True, id="no JSON"),
        pytest.param(answers(ok(b"[1]")), Outcome.BAD_ANSWER, True, id="no object"),
        pytest.param(answers(ok(b'{"a":NaN}')), Outcome.BAD_ANSWER, True, id="NaN"),
        pytest.param(answers(ok(b'{"a":1e999}')), Outcome.BAD_ANSWER, True, id="infinite"),
        pytest.param(answers(ok(b'{"a":"\xff"}')), Outcome.BAD_ANSWER, True, id="no UTF-8"),
        pytest.param(answers(ok(DEEP)), Outcome.BAD_ANSWER, True, id="too deep"),
        pytest.param(
            answers(ok(PACKED, b"Content-Encoding: gzip")), Outcome.BAD_ANSWER, True, id="gzip"
        ),
        pytest.param(
            answers(ok(b"{%b}" % (b" " * BODY_LIMIT))), Outcome.BAD_ANSWER, True, id="too large"
        ),
        pytest.param(floods, Outcome.BAD_ANSWER, True, id="endless"),
    ],
)  # fmt: skip
async def test_every_misbehaviour_has_its_word(
    service: ScriptedBackend,
    upstream: HttpUpstream,
    script: Script,
    outcome: Outcome,
    retryable: bool,
) -> None:
    service.script = script
    with pytest.raises(AttemptError) as caught:
        await fetch(upstream, seconds=5.0)
    assert (caught.value.outcome, caught.value.retryable) == (outcome, retryable)
    assert str(caught.value)
    assert len(service.heads) == 1, "the client asked again by itself"


@pytest.mark.parametrize("script", [never_answers, drips])
async def test_who_is_too_slow_is_given_up_and_its_connection_with_it(
    service: ScriptedBackend, upstream: HttpUpstream, script: Script
) -> None:
    service.script = script
    with pytest.raises(TimeoutError):
        await fetch(upstream)
    service.script = answers(ok(b'{"new":1}'))
    assert await fetch(upstream) == {"new": 1}, "an answer must never be an earlier one's"


async def test_a_refused_connection_is_a_connect_error() -> None:
    client = HttpUpstream(UpstreamSettings(url=f"http://127.0.0.1:{free_port()}/data"))
    with pytest.raises(AttemptError) as caught:
        await fetch(client)
    assert caught.value.outcome is Outcome.CONNECT_ERROR
    await client.close()


async def test_an_object_of_just_the_limit_is_taken(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    text = b'{"a":"' + b"x" * (BODY_LIMIT - 8) + b'"}'
    assert len(text) == BODY_LIMIT
    service.script = answers(ok(text))
    assert await fetch(upstream) == json.loads(text)


async def test_the_service_learns_who_asks_and_how_long_it_will_wait(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    await fetch(upstream, seconds=0.123)
    (head,) = service.heads
    assert b"\r\nX-Request-Id: some-id\r\n" in head
    assert b"\r\nX-Request-Timeout-Ms: 123\r\n" in head


async def test_a_connection_closed_while_idle_is_a_counted_attempt_and_no_hidden_one(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    await fetch(upstream)
    service.script = answers_and_closes(b"")  # what a server does that closes at the same moment
    with pytest.raises(AttemptError) as caught:
        await fetch(upstream)
    assert caught.value.outcome is Outcome.CONNECT_ERROR
    assert len(service.heads) == 2


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    service.script = answers(ok(GOOD, b"Set-Cookie: session=1"))
    await fetch(upstream)
    await fetch(upstream)
    assert b"cookie" not in service.heads[1].lower()


async def test_attempts_counted_are_attempts_made_whatever_goes_wrong(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    order = iter([resets, answers(status(500)), answers_and_closes(TRUNCATED), answers(ok(GOOD))])

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await next(order)(reader, writer, head)

    service.script = script
    call = ResilientCall(CallPolicy())
    answer = await call(lambda seconds: upstream.fetch(seconds, "id"), dict)
    assert answer.value == json.loads(GOOD)
    assert answer.trace.result is Result.AFTER_RETRY
    assert [attempt.outcome for attempt in answer.trace.attempts] == [
        Outcome.CONNECT_ERROR,
        Outcome.HTTP_ERROR,
        Outcome.BAD_ANSWER,
        Outcome.OK,
    ]
    assert len(service.heads) == 4


async def test_retry_after_is_honoured_on_the_wire(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    call = ResilientCall(CallPolicy(deadline=3.0))
    asked: list[float] = []
    loop = asyncio.get_running_loop()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        asked.append(loop.time())
        writer.write(status(503, b"Retry-After: 1") if len(asked) == 1 else ok(GOOD))

    service.script = script
    answer = await call(lambda seconds: upstream.fetch(seconds, "id"), dict)
    assert answer.source is Source.LIVE
    assert asked[1] - asked[0] >= 0.99


async def test_a_cancelled_call_leaves_the_client_fit_for_the_next(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    async def numbered(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        number = head.split(b"X-Request-Id: ")[1].split(b"\r\n")[0]
        await asyncio.sleep(0.002)
        writer.write(ok(b'{"number":%b}' % number))

    service.script = numbered

    async def one(number: int) -> None:
        task = asyncio.create_task(upstream.fetch(1.0, str(number)))
        if number % 3 == 0:
            await asyncio.sleep(0.001 * (number % 5))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            assert await task == {"number": number}

    for start in range(0, 600, 30):
        await asyncio.gather(*(one(number) for number in range(start, start + 30)))


async def test_no_retry_is_made_when_none_is_allowed(
    service: ScriptedBackend, upstream: HttpUpstream
) -> None:
    service.script = answers(status(500))
    call = ResilientCall(CallPolicy(retry=RetryPolicy(retries=0)))
    answer = await call(lambda seconds: upstream.fetch(seconds, "id"), lambda: {"fallback": 1})
    assert answer.value == {"fallback": 1}
    assert len(service.heads) == 1
