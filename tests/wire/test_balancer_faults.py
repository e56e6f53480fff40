"""The balancer against backends that refuse, hang, cut, lie and babble."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tests.balancer_under_test import running
from tests.scripted_backend import (
    OK,
    ScriptedBackend,
    answers,
    answers_and_closes,
    never_answers,
)

GET = b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"


async def eventually(condition, what: str, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the condition is another task's
            await asyncio.sleep(0.01)
    assert condition(), what


async def dead_backend() -> ScriptedBackend:
    backend = await ScriptedBackend().start()
    await backend.stop()
    return backend


async def test_a_backend_that_refuses_is_hidden_and_out_at_once():
    dead, alive = await dead_backend(), await ScriptedBackend().start()
    addresses = dead.address, alive.address
    async with running(*addresses, checks=True, health_interval=60.0, fall=5) as balancer:
        for _ in range(20):
            assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        assert balancer.metric("balancer_retries_total", "connect") <= 1
        assert not balancer.proxy.backends[0].healthy
        assert len(alive.heads) == 20
    await alive.stop()


async def test_without_checks_a_backend_that_refused_once_is_tried_again():
    flaky, alive = await dead_backend(), await ScriptedBackend().start()
    async with running(flaky.address, alive.address) as balancer:
        for _ in range(4):
            assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        back = await ScriptedBackend(port=flaky.port).start()
        for _ in range(4):
            await balancer.get()
        assert len(back.heads) == 2
        await back.stop()
    await alive.stop()


async def test_stale_kept_connections_to_both_backends_cost_no_failure():
    async def once(reader, writer, head):
        if writer in seen:
            writer.transport.abort()
            return
        seen.add(writer)
        writer.write(OK)

    seen: set[object] = set()
    backends = [await ScriptedBackend(once).start() for _ in range(2)]
    async with running(*(backend.address for backend in backends)) as balancer:
        for _ in range(20):
            assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        assert balancer.metric("balancer_retries_total", "stale") > 0
    for backend in backends:
        await backend.stop()


async def test_a_large_post_moves_on_when_the_connection_was_refused():
    async def takes_it(reader, writer, head):
        await reader.readexactly(200_000)
        writer.write(OK)

    dead, alive = await dead_backend(), await ScriptedBackend(takes_it).start()
    async with running(dead.address, alive.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n"
            + b"x" * 200_000
        )
        assert answer.startswith(b"HTTP/1.1 200 OK")
    await alive.stop()


@pytest.mark.parametrize("status_line", [b"099 X", b"000 X", b"200 a\x1bb", b"700 X"])
async def test_an_odd_status_line_becomes_502(status_line):
    odd = b"HTTP/1.1 " + status_line + b"\r\nContent-Length: 2\r\n\r\nok"
    liar = await ScriptedBackend(answers(odd)).start()
    async with running(liar.address) as balancer:
        assert (await balancer.get()).startswith(b"HTTP/1.1 502 ")
    await liar.stop()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (answers(b"SSH-2.0-OpenSSH_9.2 secret\r\n"), "not an answer of HTTP"),
        (answers(b"HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n"), "Content-Length"),
        (None, "cannot be reached"),
    ],
)
async def test_what_a_backend_did_wrong_stands_in_the_log_and_nothing_of_it_in_the_answer(
    script, reason
):
    backend = ScriptedBackend(script) if script else await dead_backend()
    if script:
        await backend.start()
    async with running(backend.address) as balancer:
        answer = await balancer.get()
        assert answer.startswith(b"HTTP/1.1 502 ")
        for untold in (b"127.0.0.1", b"%d" % backend.port, b"secret"):
            assert untold not in answer
        line = balancer.log.lines[0]
        assert line["backend"] == str(backend.address)
        assert reason in line["reason"]
    if script:
        await backend.stop()


async def test_an_answer_that_was_cut_says_in_the_log_what_the_backend_did():
    cut = answers_and_closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
    backend = await ScriptedBackend(cut).start()
    async with running(backend.address) as balancer:
        with suppress(ConnectionResetError):
            await balancer.get()
        assert balancer.log.lines[0]["ended"] == "backend_cut"
        assert "closed before" in balancer.log.lines[0]["reason"]
    await backend.stop()


async def test_more_statuses_than_the_metrics_have_room_for_stop_no_request():
    async def any_status(reader, writer, head):
        number = int(head.split(b" ")[1][1:])
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 + number % 400))

    backend = await ScriptedBackend(any_status).start()
    async with running(backend.address) as balancer:
        for method in ("GET", "POST", "PUT", "DELETE"):
            for number in range(400):
                if 200 + number in (204, 304) or number in (302, 303, 304):
                    continue
                answer = await balancer.get(f"/{number}", method=method)
                assert answer.startswith(b"HTTP/1.1 %d " % (200 + number)), (method, number)
        assert balancer.proxy.in_flight == 0
    await backend.stop()


async def test_a_post_moves_on_when_the_connection_was_refused():
    dead, alive = await dead_backend(), await ScriptedBackend().start()
    async with running(dead.address, alive.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
        assert answer.startswith(b"HTTP/1.1 200 OK")
    await alive.stop()


@pytest.mark.parametrize("partial", [b"", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_a_get_whose_backend_closes_before_the_head_is_answered_by_the_other(partial):
    cut = await ScriptedBackend(answers_and_closes(partial)).start()
    alive = await ScriptedBackend().start()
    async with running(cut.address, alive.address) as balancer:
        assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        assert len(cut.heads) == 1
        assert balancer.metric("balancer_retries_total", "reset") == 1
    await cut.stop()
    await alive.stop()


async def test_a_post_that_may_have_been_executed_is_not_sent_twice():
    cut = await ScriptedBackend(answers_and_closes(b"")).start()
    alive = await ScriptedBackend().start()
    async with running(cut.address, alive.address) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 502")
        assert not alive.heads
    await cut.stop()
    await alive.stop()


async def test_a_backend_that_hangs_costs_the_first_byte_time_and_the_other_answers():
    hung, alive = await ScriptedBackend(never_answers).start(), await ScriptedBackend().start()
    async with running(hung.address, alive.address, first_byte_timeout=0.2) as balancer:
        assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        assert balancer.metric("balancer_retries_total", "timeout") == 1
    await hung.stop()
    await alive.stop()


async def test_when_every_backend_hangs_the_client_gets_504_in_time():
    hung = await ScriptedBackend(never_answers).start()
    async with running(hung.address, first_byte_timeout=0.2) as balancer:
        assert (await balancer.get()).startswith(b"HTTP/1.1 504")
    await hung.stop()


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_answer_that_says_try_elsewhere_is_tried_elsewhere(status):
    sorry = b"HTTP/1.1 %d Sorry\r\nContent-Length: 2\r\n\r\nno" % status
    sick, alive = await ScriptedBackend(answers(sorry)).start(), await ScriptedBackend().start()
    async with running(sick.address, alive.address) as balancer:
        answer = await balancer.get()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"ok")
    await sick.stop()
    await alive.stop()


async def test_a_503_that_forbids_a_retry_is_the_answer():
    sorry = b"HTTP/1.1 503 Sorry\r\nX-No-Retry: 1\r\nContent-Length: 2\r\n\r\nno"
    sick, alive = await ScriptedBackend(answers(sorry)).start(), await ScriptedBackend().start()
    async with running(sick.address, alive.address) as balancer:
        assert (await balancer.get()).endswith(b"no")
        assert not alive.heads
    await sick.stop()
    await alive.stop()


async def test_a_500_is_an_answer_and_not_retried():
    failing = b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno"
    sick, alive = await ScriptedBackend(answers(failing)).start(), await ScriptedBackend().start()
    async with running(sick.address, alive.address) as balancer:
        assert (await balancer.get()).startswith(b"HTTP/1.1 500 Oops")
        assert not alive.heads
    await sick.stop()
    await alive.stop()


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>hello</html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    ],
)
async def test_an_answer_without_one_meaning_becomes_502(garbage):
    liar = await ScriptedBackend(answers(garbage)).start()
    async with running(liar.address, first_byte_timeout=1.0) as balancer:
        answer = await balancer.raw(
            b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 502 Bad Gateway")
        assert answer.count(b"HTTP/1.1") == 1
    await liar.stop()


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nZZ\r\n",
    ],
)
async def test_an_answer_cut_in_the_middle_is_visibly_incomplete(cut):
    cutter = await ScriptedBackend(answers_and_closes(cut)).start()
    async with running(cutter.address) as balancer:
        try:
            answer = await balancer.get()
        except ConnectionResetError:
            answer = b""
        assert not answer.endswith(b"0\r\n\r\n")
        if b"Content-Length: 100" in answer:
            assert len(answer.partition(b"\r\n\r\n")[2]) < 100
        await eventually(lambda: balancer.log.lines, "the request is logged")
        assert balancer.log.lines[0]["ended"] == "backend_cut"
    await cutter.stop()


async def test_bytes_beyond_an_answer_reach_no_other_request():
    poison = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
    babbler = await ScriptedBackend(answers(poison)).start()
    async with running(babbler.address) as balancer:
        for _ in range(5):
            assert (await balancer.get()).endswith(b"\r\n\r\nok")
    await babbler.stop()


async def test_an_idle_connection_that_babbles_is_closed_and_its_words_reach_nobody():
    async def late_poison(reader, writer, head):
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")

    babbler = await ScriptedBackend(late_poison).start()
    async with running(babbler.address) as balancer:
        for _ in range(5):
            assert (await balancer.get()).endswith(b"\r\n\r\nok")
            await asyncio.sleep(0.1)
    await babbler.stop()


async def test_a_kept_connection_the_backend_closed_costs_no_failure():
    backend = await ScriptedBackend(answers_and_closes(OK)).start()
    async with running(backend.address) as balancer:
        for _ in range(20):
            assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
    await backend.stop()


async def test_a_backend_that_restarts_between_two_requests_is_met_with_a_new_connection():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        await balancer.get()
        port = backend.port
        await backend.stop()
        again = await ScriptedBackend(port=port).start()
        assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
        await again.stop()


async def test_a_client_that_goes_away_stops_the_work_at_the_backend_and_is_nobodys_failure():
    gone = asyncio.Event()

    async def notices(reader, writer, head):
        await reader.read()
        gone.set()

    backend = await ScriptedBackend(notices).start()
    async with running(backend.address) as balancer:
        _reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(GET)
        await eventually(lambda: backend.heads, "the backend has the request")
        # A reset: an orderly close alone looks like a client that still reads.
        no_linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        writer.transport.abort()
        async with asyncio.timeout(5):
            await gone.wait()
        await eventually(lambda: balancer.log.lines, "the request is logged")
        assert balancer.log.lines[0]["ended"] == "client_gone"
        assert balancer.log.lines[0]["status"] == 499
        assert balancer.metric("balancer_client_disconnects_total") == 1
        assert balancer.proxy.backends[0].in_flight == 0
    await backend.stop()


async def test_connections_given_up_while_they_are_made_are_not_counted_as_open():
    backend = await ScriptedBackend().start()
    async with running(backend.address) as balancer:
        for _ in range(150):
            _reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
            writer.write(GET)
            await asyncio.sleep(0)
            writer.transport.abort()
        pool = balancer.proxy.pools[balancer.proxy.backends[0]]
        await eventually(lambda: not balancer.proxy.clients, "all are gone")
        await backend.stop()
        await eventually(lambda: pool.open_connections == 0, "none is open")


async def test_health_checks_take_a_backend_out_and_bring_it_back():
    sick, alive = await ScriptedBackend().start(), await ScriptedBackend().start()
    async with running(sick.address, alive.address, checks=True) as balancer:
        out, _in = balancer.proxy.backends
        await eventually(
            lambda: balancer.metric("balancer_health_checks_total", out.label, "pass"), "a check"
        )
        sick.healthy = False
        await eventually(lambda: not out.healthy, "out after failed checks")
        before = len(sick.heads)
        for _ in range(10):
            await balancer.get()
        assert len(sick.heads) == before
        sick.healthy = True
        await eventually(lambda: out.healthy, "back after passed checks")
        for _ in range(10):
            await balancer.get()
        assert len(sick.heads) == before + 5
    await sick.stop()
    await alive.stop()


async def test_a_backend_that_hangs_in_its_health_check_is_taken_out():
    silent, alive = await ScriptedBackend(silent=True).start(), await ScriptedBackend().start()
    async with running(silent.address, alive.address, checks=True, health_timeout=0.1) as balancer:
        await eventually(lambda: not balancer.proxy.backends[0].healthy, "out")
        assert balancer.proxy.backends[1].healthy
    await silent.stop()
    await alive.stop()


async def test_when_all_checks_fail_requests_are_still_tried():
    backend = await ScriptedBackend(healthy=False).start()
    async with running(backend.address, checks=True) as balancer:
        await eventually(lambda: not balancer.proxy.backends[0].healthy, "out")
        assert (await balancer.get()).startswith(b"HTTP/1.1 200 OK")
    await backend.stop()


async def test_the_time_in_the_access_log_is_when_the_request_began():
    async def late(_reader: object, writer: asyncio.StreamWriter, _head: bytes) -> None:
        await asyncio.sleep(0.3)
        writer.write(OK)

    backend = await ScriptedBackend(late).start()
    async with running(backend.address) as balancer:
        began = datetime.now(UTC)
        await balancer.get()
        await eventually(lambda: balancer.log.lines, "the request is logged")
        (line,) = balancer.log.lines
        assert line["duration_ms"] >= 290
        logged = datetime.fromisoformat(line["time"])
        assert abs((logged - began).total_seconds()) < line["duration_ms"] / 2000
    await backend.stop()


EARLY = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize("closes", [False, True])
async def test_an_answer_before_the_requests_end_arrives_and_the_connection_ends(closes):
    async def answers_early(reader, writer, head):
        writer.write(EARLY)
        await writer.drain()
        if closes:
            writer.close()
        else:
            await reader.read()

    hasty = await ScriptedBackend(answers_early).start()
    async with running(hasty.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\nabc")
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 413 Too Large\r\n")
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nno")
        writer.write(b"d" * 997 + GET)  # the rest, and what must be no request
        await asyncio.sleep(0.1)
        writer.close()
        assert len(hasty.heads) == 1
        assert (await balancer.get()).startswith(b"HTTP/1.1 413")
    await hasty.stop()


async def test_a_backend_that_resets_in_the_middle_of_an_upload_is_a_502():
    async def resets(reader, writer, head):
        writer.transport.abort()

    broken = await ScriptedBackend(resets).start()
    async with running(broken.address) as balancer:
        reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\nabc")
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"Connection: close\r\n" in answer
        writer.close()
    await broken.stop()
