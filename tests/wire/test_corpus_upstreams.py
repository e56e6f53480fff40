"""The corpus of misbehaving backends against the balancer's own process."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from pathlib import Path

import pytest

from tests.wire.corpus import door
from tests.wire.corpus.upstream import CASES, CUT, UpstreamCase

BY_NAME = {case.name: case for case in CASES}
NO_LINGER = struct.pack("ii", 1, 0)
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*")
PIECES = {"": 1 << 30, "?pieces": 7}


def babbles(case: UpstreamCase) -> bool:
    return case.name.startswith("extra-")


async def backend(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, babbled: asyncio.Event
) -> None:
    """Plays the case that the target names; any other target is answered with itself.

    Sets `babbled` when the late bytes of a case are sent.
    """
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ")[1].decode()
            name, mark, pieces = target.removeprefix("/").partition("?")
            if (case := BY_NAME.get(name)) is None:
                body = target.encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                continue
            await play(case, writer, PIECES[mark + pieces], babbled)
            if case.then == "closes":
                return
            if case.then == "resets":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                writer.transport.abort()
                return
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def play(
    case: UpstreamCase, writer: asyncio.StreamWriter, most: int, babbled: asyncio.Event
) -> None:
    sent = case.sent
    most = max(most, len(sent) // 60)  # a wait each: it must be there in time on a busy machine
    while sent and len(case.sent) < 1500 and not writer.is_closing():
        writer.write(sent[:most])
        sent = sent[most:]
        await asyncio.sleep(0.0005 if sent else 0)
    writer.write(sent)
    await writer.drain()
    if case.then == "resets":
        await asyncio.sleep(0.05)  # a reset overtakes what was just sent
    if case.late:
        await asyncio.sleep(0.02)
        writer.write(case.late)
        babbled.set()


async def ask(port: int, target: str, method: str = "GET", version: str = "1.1") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"{method} {target} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    received = b""
    try:
        async with asyncio.timeout(15):
            while data := await reader.read(65536):
                received += data
    except ConnectionError:
        received += CUT.encode()  # a reset: the client sees that it is not whole
    except TimeoutError:
        received = b"hangs"
    finally:
        writer.transport.abort()
    return received


@pytest.fixture(scope="module")
def received(form: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the clients got of each case, whole and in pieces of a few bytes, and of requests to
    a good target between them."""

    async def run_all(folder: Path) -> dict[str, bytes]:
        babbled = asyncio.Event()
        server = await asyncio.start_server(
            lambda reader, writer: backend(reader, writer, babbled), "127.0.0.1", 0
        )
        seen: dict[str, bytes] = {}
        few = asyncio.Semaphore(12)

        async def one(port: int, case: UpstreamCase, mark: str) -> None:
            target = f"/{case.name}{mark}"
            async with few:
                seen[target] = await ask(port, target, case.method, case.version)
                if case.late:
                    await asyncio.wait_for(babbled.wait(), 15)
                    babbled.clear()
                if babbles(case):
                    await asyncio.sleep(0.02)  # it has come to the balancer
                good = f"/good-{case.name}{mark}"
                seen[good] = await ask(port, good)

        options = (
            "--first-byte-timeout",
            "1.5",
            "--total-timeout",
            "2",
            "--body-timeout",
            "1",
            form,
        )
        async with door.balancer(server.sockets[0].getsockname()[1], folder, *options) as port:
            await asyncio.gather(
                *(one(port, case, mark) for case in CASES if not babbles(case) for mark in PIECES)
            )
            # One after the other: bytes that come when the connection has its next request
            # already cannot be told from the answer to that one, in any version of HTTP/1.
            for case in filter(babbles, CASES):
                for mark in PIECES:
                    await one(port, case, mark)
        server.close()
        return seen

    return asyncio.run(run_all(tmp_path_factory.mktemp("balancer")))


def whole(answer: bytes, case: UpstreamCase) -> tuple[int, bytes]:
    """Status and body of an answer that is whole. Raises ValueError if it is not."""
    while True:
        head, end, answer = answer.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        status = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [^\x00-\x08\x0a-\x1f\x7f]*", line)
        if not end or not status or not all(map(FIELD.fullmatch, fields)):
            raise ValueError(head)
        if int(status[1]) >= 200:
            break
    found = {f.partition(b":")[0].lower(): f.partition(b": ")[2] for f in fields}
    number = int(status[1])
    coded = found.get(b"transfer-encoding")
    if case.method == "HEAD" or number in (204, 304):
        body, rest = b"", answer
    elif coded is not None:
        if coded != b"chunked" or b"content-length" in found or case.version == "1.0":
            raise ValueError(head)
        body, rest = dechunked(answer)
    elif b"content-length" in found:
        length = int(found[b"content-length"])
        if len(answer) < length:
            raise ValueError("short")
        body, rest = answer[:length], answer[length:]
    elif case.version == "1.0":
        body, rest = answer, b""
    else:
        raise ValueError("no end")
    if rest:
        raise ValueError(rest)
    return number, body


def dechunked(wire: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, end, wire = wire.partition(b"\r\n")
        if not end or not re.fullmatch(rb"[0-9a-f]+", line) or len(wire) < int(line, 16) + 2:
            raise ValueError("not whole")
        size = int(line, 16)
        if wire[size : size + 2] != b"\r\n":
            raise ValueError(wire[:20])
        if not size:
            return body, wire[2:]
        body, wire = body + wire[:size], wire[size + 2 :]


def test_the_corpus_of_backends_is_as_large_as_promised_and_no_case_is_there_twice():
    assert len(BY_NAME) == len(CASES) >= 100


@pytest.mark.parametrize("mark", PIECES, ids=["whole", "pieces"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_gets_a_whole_answer_or_a_clean_error_or_sees_the_cut(
    case: UpstreamCase, mark: str, received: dict[str, bytes]
):
    got = received[f"/{case.name}{mark}"]
    assert got != b"hangs"
    assert b"POISON" not in got or case.name == "whole-body-like-an-answer"
    if case.expected == CUT:
        assert got.startswith((b"HTTP/1.1 200 OK\r\n", CUT.encode()))
        assert b"HTTP/1.1 5" not in got
        with pytest.raises(ValueError):
            whole(got, case)
    elif isinstance(case.expected, int):
        number, body = whole(got, case)
        assert number == case.expected
        assert b'"request_id": "' in body
    else:
        assert whole(got, case) == case.expected


@pytest.mark.parametrize("mark", PIECES, ids=["whole", "pieces"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_of_it_reaches_the_next_request(
    case: UpstreamCase, mark: str, received: dict[str, bytes]
):
    good = f"/good-{case.name}{mark}"
    plain = UpstreamCase("good", b"", (200, b""), "9112 9.3")
    assert whole(received[good], plain) == (200, good.encode())


def test_interim_answers_are_passed_on_but_for_100_and_to_clients_of_1_0(
    received: dict[str, bytes],
):
    assert received["/whole-interim-103"].startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
    )
    assert received["/whole-interim-100"].startswith(b"HTTP/1.1 200 OK\r\n")
    assert received["/whole-1.0-client-interim-103"].startswith(b"HTTP/1.1 200 OK\r\n")
