"""The instrument itself, against servers that misbehave in known ways."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.drills.answers import Reply, digest
from tests.drills.client import Client
from tests.drills.contention import Contention, tree
from tests.drills.ledger import read_all
from tests.drills.load import Plan
from tests.drills.load_process import GeneratorError, LoadProcess
from tests.drills.measure import percentile
from tests.drills.recording import Recording, Tail, read_ledger
from tests.redis_server import free_port
from tests.running_stack import eventually
from tests.scripted_backend import OK, ScriptedBackend, answers, answers_and_closes, never_answers

Start = Callable[[ScriptedBackend], Awaitable[ScriptedBackend]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[ScriptedBackend] = []

    async def started(backend: ScriptedBackend) -> ScriptedBackend:
        running.append(await backend.start())
        return backend

    yield started
    for backend in running:
        await backend.stop()


async def get(port: int, *, patience: float = 2.0, **options: bool) -> Reply:
    client = Client("127.0.0.1", port, limit=10, timeout=patience)
    replies: list[Reply] = []
    async with client.running():
        client.get("/", "test-1", replies.append, **options)
        await client.all_answered()
    [reply] = replies
    return reply


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (never_answers, "timeout"),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "timeout"),
        (answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "cut"),
        (answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-Le"), "cut"),
        (answers_and_closes(b""), "cut"),
        (answers(b"not HTTP at all\r\n\r\n"), "cut"),
    ],
)
async def test_an_answer_that_is_not_complete_is_none(start: Start, script, failure: str):
    backend = await start(ScriptedBackend(script))
    reply = await get(backend.port, patience=0.3 if failure == "timeout" else 5.0)
    assert (reply.status, reply.failure) == (0, failure)


async def test_a_port_where_nobody_listens_is_a_failure_to_connect():
    reply = await get(free_port())
    assert reply.failure == "connect"
    assert reply.reason == "connection refused"


async def test_status_body_and_retry_after_are_what_was_sent(start: Start):
    text = b"HTTP/1.1 503 No\r\nRETRY-AFTER: 1\r\nContent-Length: 3\r\n\r\nbad"
    backend = await start(ScriptedBackend(answers(text)))
    assert await get(backend.port) == Reply(503, True, b"bad")


async def test_an_interim_answer_is_not_the_answer(start: Start):
    backend = await start(ScriptedBackend(answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)))
    assert (await get(backend.port)).status == 200


async def test_connections_are_kept_unless_a_fresh_one_is_asked_for(start: Start):
    backend = await start(ScriptedBackend())
    client = Client("127.0.0.1", backend.port, limit=10)
    async with client.running():
        for fresh in (False, False, True, False):
            client.get("/", "test-1", lambda reply: None, fresh=fresh)
            await client.all_answered()
    assert [b"Connection: close" in head for head in backend.heads] == [False, False, True, False]
    assert all(b"X-Request-Id: test-1" in head for head in backend.heads)


async def test_a_request_that_fails_is_not_sent_again(start: Start):
    backend = await start(ScriptedBackend(answers_and_closes(b"")))
    await get(backend.port)
    assert len(backend.heads) == 1


async def test_waiting_for_a_turn_counts_and_runs_out(start: Start):
    backend = await start(ScriptedBackend(never_answers))
    client = Client("127.0.0.1", backend.port, limit=2, timeout=0.3)
    replies: list[Reply] = []
    async with client.running():
        for _ in range(5):
            client.get("/", "test-1", replies.append)
        await client.all_answered()
    assert [reply.failure for reply in replies] == ["timeout"] * 5
    assert sum("not sent" in reply.reason for reply in replies) == 3


async def test_a_late_answer_does_not_become_the_answer_of_the_next_request(start: Start):
    async def late_then_right(reader, writer, head):
        if b"/late" in head:
            await asyncio.sleep(0.4)
        path = head.split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    backend = await start(ScriptedBackend(late_then_right))
    client = Client("127.0.0.1", backend.port, limit=1, timeout=0.2)
    replies: list[Reply] = []
    async with client.running():
        for path in ("/late", "/a", "/b"):
            client.get(path, "test-1", replies.append)
            await client.all_answered()
    assert [reply.failure or reply.body for reply in replies] == ["timeout", b"/a", b"/b"]


# The generator


def plan(folder: Path, port: int, *, rate: float = 100.0) -> Plan:
    return Plan("test", port, rate, 1, str(folder / "x.answers"), str(folder / "x.ledger"))


def answer_of(number: int) -> bytes:
    body = json.dumps(
        {"instance": 1, "id": number, "data": {"n": number}, "stored": "replicated",
         "source": "live"}
    ).encode()  # fmt: skip
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Product:
    """Answers as the product does, from memory; `pause` holds every answer back."""

    def __init__(self) -> None:
        self.count = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await self.may_answer.wait()
        path = head.split()[1].decode()
        if path == "/":
            self.count += 1
            writer.write(answer_of(self.count))
        else:
            writer.write(answer_of(int(path.removeprefix("/data/"))))


def until_it_runs(load: LoadProcess) -> None:
    def runs() -> bool:
        load.poll()
        return load.complete_until > 0

    eventually(runs, "the generator runs")


async def run_load(folder: Path, port: int, seconds: float, rate: float = 100.0) -> LoadProcess:
    load = LoadProcess(plan(folder, port, rate=rate))
    await asyncio.to_thread(until_it_runs, load)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(load.stop)
    return load


async def test_requests_are_sent_at_the_rate_that_was_asked_for(start: Start, tmp_path: Path):
    product = await start(ScriptedBackend(Product()))
    load = await run_load(tmp_path, product.port, 1.0)
    dues = [answer.due for answer in sorted(load.answers, key=lambda answer: answer.number)]
    assert len(dues) >= 100
    gaps = [after - before for before, after in pairwise(dues)]
    assert max(gaps) - min(gaps) < 1e-4
    assert all(answer.ok for answer in load.answers)
    assert {answer.request for answer in load.answers} == {"ask", "read"}


async def test_a_pause_of_the_service_is_seen_in_every_request_that_was_due_in_it(
    start: Start, tmp_path: Path
):
    product = Product()
    backend = await start(ScriptedBackend(product))
    load = LoadProcess(plan(tmp_path, backend.port))
    await asyncio.sleep(1.0)
    product.may_answer.clear()
    await asyncio.sleep(1.0)
    product.may_answer.set()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(load.stop)
    waited = [answer.latency for answer in load.answers if answer.latency > 0.2]
    assert len(waited) > 50  # a closed loop would have seen one for each of its connections
    middle = percentile(waited, 0.5)
    assert middle is not None
    assert 0.3 < middle < 0.9  # evenly spread from 0.2 s to 1 s


async def test_every_acknowledged_answer_is_in_the_ledger(start: Start, tmp_path: Path):
    product = Product()
    backend = await start(ScriptedBackend(product))
    load = await run_load(tmp_path, backend.port, 0.5)
    ledger = read_ledger([load.ledger])
    assert ledger == {n: digest({"n": n}) for n in range(1, product.count + 1)}
    assert {answer.id for answer in load.answers if answer.acknowledged} == set(ledger)


async def test_without_anybody_there_every_request_is_a_failure_and_none_is_missing(
    tmp_path: Path,
):
    load = await run_load(tmp_path, free_port(), 0.5)
    numbers = sorted(answer.number for answer in load.answers)
    assert numbers == list(range(1, len(numbers) + 1))
    assert {answer.outcome for answer in load.answers} == {"connect"}
    assert load.ledger.read_text() == ""


async def test_what_is_still_on_its_way_is_not_said_to_be_complete(start: Start, tmp_path: Path):
    backend = await start(ScriptedBackend(never_answers))
    load = LoadProcess(plan(tmp_path, backend.port))
    try:
        await asyncio.to_thread(until_it_runs, load)
        before = load.complete_until
        await asyncio.sleep(0.5)
        load.poll()
        assert load.complete_until == before
        assert time.monotonic() - before > 0.5
    finally:
        load.kill()


async def test_the_generator_ends_with_whoever_started_it(start: Start, tmp_path: Path):
    backend = await start(ScriptedBackend(Product()))
    load = LoadProcess(plan(tmp_path, backend.port))
    process = psutil.Process(load._process.pid)
    load._input.close()  # as when the drill is killed
    await asyncio.to_thread(process.wait, 10)
    load.kill()


def test_a_generator_that_dies_is_no_quiet_success(tmp_path: Path):
    load = LoadProcess(plan(tmp_path, free_port()))
    psutil.Process(load._process.pid).kill()
    load._process.wait()
    with pytest.raises(GeneratorError, match="ended by itself"):
        load.poll()
    load.kill()


def test_cpu_that_others_use_is_told_from_our_own():
    ours = Contention(lambda: tree(os.getpid()))
    theirs = Contention(list)
    used = time.process_time()
    while time.process_time() - used < 0.5:
        pass
    assert 0.0 <= ours.share() < theirs.share() <= 1.0


# Files


def test_a_line_that_is_not_finished_is_waited_for(tmp_path: Path):
    path = tmp_path / "x.answers"
    line = "1 2.000000 0.000000 0.100000 ask 200 answered live 7 replicated -\n"
    path.write_text(line + line[:20])
    tail = Tail(path)
    tail.poll()
    assert len(tail.answers) == 1
    with path.open("a") as file:
        file.write(line[20:] + "~ 5.5\n")
    tail.poll()
    assert len(tail.answers) == 2
    assert tail.complete_until == 5.5
    tail.close()


def test_one_id_acknowledged_with_two_contents_is_refused(tmp_path: Path):
    (tmp_path / "a").write_text("1 aa\n2 bb\n")
    (tmp_path / "b").write_text("1 cc\n")
    with pytest.raises(ValueError, match="id 1 was acknowledged twice"):
        read_ledger([tmp_path / "a", tmp_path / "b"])


def test_files_are_added_to_and_never_begun_anew(tmp_path: Path):
    for _ in range(2):
        with Recording(tmp_path / "answers", tmp_path / "ledger") as recording:
            recording.flush(1.0)
    assert (tmp_path / "answers").read_text() == "~ 1.000000\n" * 2


# Reading back


async def test_only_what_is_read_back_with_its_data_is_not_lost(start: Start):
    async def door(reader, writer, head):
        record_id = int(head.split()[1].removeprefix(b"/data/"))
        if record_id == 404:
            writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(answer_of(record_id))

    backend = await start(ScriptedBackend(door))
    wanted = {n: digest({"n": n}) for n in range(1, 3000)} | {404: "x", 3001: "other"}
    lost = await read_all(backend.port, wanted)
    assert lost == {404: "missing at the front door", 3001: "wrong at the front door"}


async def test_a_shard_that_is_still_loading_is_waited_for(start: Start):
    tries = random.Random(1)
    refusals = 0

    async def door(reader, writer, head):
        nonlocal refusals
        if tries.random() < 0.5:
            refusals += 1
            writer.write(b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(answer_of(int(head.split()[1].removeprefix(b"/data/"))))

    backend = await start(ScriptedBackend(door))
    assert await read_all(backend.port, {n: digest({"n": n}) for n in range(20)}) == {}
    assert refusals > 0
