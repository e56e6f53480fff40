"""Who gets requests, who is taken out, who is asked again, who is turned away: a real balancer
over backends that fail as they are told."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.balancer_process import GET, Load, balancer, eventually, status_of
from tests.scripted_backend import (
    OK,
    Script,
    ScriptedBackend,
    answers,
    answers_and_closes,
    never_answers,
)

BAD_GATEWAY = b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
QUIET = "--health-path off"  # nothing but requests decides
POST = b"POST / HTTP/1.1\r\nHost: door\r\nContent-Length: 2\r\n"


@asynccontextmanager
async def two(
    first: Script, second: Script | None = None
) -> AsyncIterator[tuple[ScriptedBackend, ScriptedBackend]]:
    backends = (
        await ScriptedBackend(first).start(),
        await ScriptedBackend(second or answers(OK)).start(),
    )
    try:
        yield backends
    finally:
        for backend in backends:
            await backend.stop()


def takes(script: Script, seconds: float) -> Script:
    async def slowly(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await asyncio.sleep(seconds)
        await script(reader, writer, head)

    return slowly


# Out because requests fail


@pytest.mark.parametrize(
    "script",
    [answers(BAD_GATEWAY), answers_and_closes(b""), answers_and_closes(b"garbage\r\n\r\n")],
    ids=["502", "reset", "garbage"],
)
async def test_five_failures_in_a_row_take_a_backend_out_and_nobody_notices(
    tmp_path: Path, script: Script
):
    async with two(script) as (ill, well), balancer(tmp_path, ill, well, options=QUIET) as door:
        assert await door.statuses(40) == {200: 40}
        assert len(ill.heads) == 5
        seen = await door.backend(ill)
        assert (seen["state"], seen["ejected"]) == ("ejected", True)
        assert 0 < seen["ejected_seconds_left"] <= 5
        assert await door.metric("balancer_ejections_total", backend=str(ill.address)) == 1
        assert await door.metric("balancer_backend_ejected", backend=str(ill.address)) == 1


async def test_time_outs_take_a_backend_out_too(tmp_path: Path):
    options = f"{QUIET} --first-byte-timeout 0.1"
    async with (
        two(never_answers) as (hung, well),
        balancer(tmp_path, hung, well, options=options) as door,
    ):
        assert await door.statuses(20) == {200: 20}
        assert len(hung.heads) == 5


async def test_half_of_twenty_failures_take_a_backend_out(tmp_path: Path):
    turns = Counter[str]()

    async def every_other(reader, writer, head):
        turns["all"] += 1
        writer.write(UNAVAILABLE if turns["all"] % 2 else OK)

    async with (
        two(every_other) as (ill, well),
        balancer(tmp_path, ill, well, options=QUIET) as door,
    ):
        assert await door.statuses(60) == {200: 60}
        assert 19 <= len(ill.heads) <= 21
        assert (await door.backend(ill))["ejected"]


async def test_an_ejected_backend_comes_back_and_is_out_longer_the_second_time(tmp_path: Path):
    options = f"{QUIET} --eject-seconds 0.5"
    async with (
        two(answers(BAD_GATEWAY)) as (ill, well),
        balancer(tmp_path, ill, well, options=options) as door,
    ):
        await door.statuses(12)
        await door.said(f"backend {ill.address} is out for 0.5 s")
        await door.said(f"backend {ill.address} gets requests again")
        await door.statuses(12)
        await door.said(f"backend {ill.address} is out for 1 s")
        ill.script = answers(OK)
        await eventually(lambda: door.logged().count("gets requests again") == 2, "it is back")
        before = len(ill.heads)
        assert await door.statuses(10) == {200: 10}
        assert len(ill.heads) == before + 5


async def test_the_last_one_is_never_taken_out(tmp_path: Path):
    async with (
        two(answers(BAD_GATEWAY), answers(BAD_GATEWAY)) as (ill, worse),
        balancer(tmp_path, ill, worse, options=f"{QUIET} --retry-ratio 1") as door,
    ):
        assert await door.statuses(40) == {502: 40}
        out = [(await door.backend(one))["ejected"] for one in (ill, worse)]
        assert sorted(out) == [False, True]
        for backend in (ill, worse):
            backend.script = answers(OK)
        assert await door.statuses(10) == {200: 10}


async def test_a_client_that_goes_away_is_no_failure_of_the_backend(tmp_path: Path):
    async with (
        two(never_answers, never_answers) as (slow, well),
        balancer(tmp_path, slow, well, options=QUIET) as door,
    ):
        for number in range(1, 21):
            _reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(GET)
            await eventually(lambda: len(slow.heads) + len(well.heads) == number, "it is asked")  # noqa: B023
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
        await asyncio.sleep(0.3)
        seen = [await door.backend(one) for one in (slow, well)]
        assert [(one["state"], one["in_flight"]) for one in seen] == [("up", 0)] * 2


async def test_an_answer_that_another_backend_could_not_better_is_no_failure(tmp_path: Path):
    deliberate = UNAVAILABLE.replace(b"\r\n\r\n", b"\r\nX-No-Retry: 1\r\n\r\n")
    async with (
        two(answers(deliberate)) as (one, other),
        balancer(tmp_path, one, other, options=QUIET) as door,
    ):
        assert await door.statuses(40) == {503: 20, 200: 20}


async def test_without_checks_a_refusing_backend_is_out_after_five_and_tried_again(tmp_path: Path):
    options = f"{QUIET} --eject-seconds 0.3"
    async with (
        two(answers(OK)) as (gone, well),
        balancer(tmp_path, gone, well, options=options) as door,
    ):
        await gone.stop()
        assert await door.statuses(20) == {200: 20}
        await door.said("is out for 0.3 s")
        back = await ScriptedBackend(port=gone.port).start()
        await door.said("gets requests again")
        await door.statuses(10)
        assert len(back.heads) == 5
        await back.stop()


# Shares


async def test_weights_are_shares(tmp_path: Path):
    async with (
        two(answers(OK)) as (light, heavy),
        balancer(tmp_path, light, f"{heavy.address}@3", options=QUIET) as door,
    ):
        await door.statuses(40)
        assert (len(light.heads), len(heavy.heads)) == (10, 30)


async def test_least_requests_spares_the_slow_backend(tmp_path: Path):
    options = f"{QUIET} --policy least-requests"
    async with (
        two(takes(answers(OK), 0.2), takes(answers(OK), 0.005)) as (slow, fast),
        balancer(tmp_path, slow, fast, options=options) as door,
    ):
        async with Load(door.port, clients=8) as load:
            await asyncio.sleep(1.0)
        assert set(load.outcomes) == {"200"}
        assert len(fast.heads) > 4 * len(slow.heads) > 0


# The second try


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE"])
async def test_a_write_is_repeated_only_with_a_key(tmp_path: Path, method: bytes):
    async with (
        two(answers_and_closes(b"")) as (cut, well),
        balancer(tmp_path, cut, well, options=f"{QUIET} --eject-after 0") as door,
    ):
        plain = POST.replace(b"POST", method) + b"\r\nhi"
        assert await door.statuses(10, plain) == {502: 5, 200: 5}
        keyed = POST.replace(b"POST", method) + b"Idempotency-Key: 7\r\n\r\nhi"
        assert await door.statuses(10, keyed) == {200: 10}
        assert all(b"Idempotency-Key: 7" in head for head in well.heads[-10:])


async def test_when_every_backend_fails_retries_stay_within_their_budget(tmp_path: Path):
    options = f"{QUIET} --eject-after 0 --retry-ratio 0.2 --retry-floor 1"
    async with (
        two(answers(BAD_GATEWAY), answers(BAD_GATEWAY)) as (ill, worse),
        balancer(tmp_path, ill, worse, options=options) as door,
    ):
        begun = time.monotonic()
        async with Load(door.port, clients=4) as load:
            await asyncio.sleep(2.0)
        requests, attempts = load.outcomes["502"], len(ill.heads) + len(worse.heads)
        assert requests > 200
        assert set(load.outcomes) == {"502"}
        assert attempts <= 1.2 * requests + 10 + (time.monotonic() - begun) + 5
        assert attempts > 1.1 * requests  # and it is used
        refused = await door.metric("balancer_retry_budget_exhausted_total")
        assert refused >= requests * 0.7
        assert await door.metric("balancer_retry_budget_left") < 5


# Too many


async def asked_together(port: int, count: int) -> list[tuple[int, float, bytes]]:
    """Status, seconds and head of so many requests at once."""

    async def one() -> tuple[int, float, bytes]:
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return status_of(head), time.monotonic() - begun, head

    return await asyncio.gather(*(one() for _ in range(count)))


@pytest.mark.parametrize(
    ("limit", "admitted"), [("--max-in-flight 4", 4), ("--backend-max-in-flight 3", 6)]
)
async def test_what_is_over_the_limit_is_told_at_once_when_to_come_back(
    tmp_path: Path, limit: str, admitted: int
):
    async with (
        two(takes(answers(OK), 1.0), takes(answers(OK), 1.0)) as backends,
        balancer(tmp_path, *backends, options=f"{QUIET} {limit}") as door,
    ):
        answered = await asked_together(door.port, 20)
        assert Counter(status for status, _, _ in answered) == {200: admitted, 503: 20 - admitted}
        for status, seconds, head in answered:
            assert (status == 200) == (seconds > 0.9)
            assert (b"Retry-After: 1" in head) == (status == 503)
        reason = "in_flight" if limit.startswith("--max") else "backends"
        assert await door.metric("balancer_shed_total", reason=reason) == 20 - admitted
        assert await door.statuses(2) == {200: 2}


async def test_a_full_backend_leaves_requests_to_the_other(tmp_path: Path):
    options = f"{QUIET} --backend-max-in-flight 2 --first-byte-timeout 60 --total-timeout 60"
    async with (
        two(never_answers) as (slow, fast),
        balancer(tmp_path, slow, fast, options=options) as door,
    ):
        waiting = [asyncio.create_task(door.ask()) for _ in range(3)]
        await eventually(lambda: len(slow.heads) == 2, "the slow one is full")
        assert await door.statuses(10) == {200: 10}
        assert len(slow.heads) == 2
        assert (await door.backend(slow))["state"] == "full"
        for task in waiting:
            task.cancel()


async def test_connections_over_the_limit_get_503_and_those_within_go_on(tmp_path: Path):
    backend = await ScriptedBackend().start()
    async with balancer(tmp_path, backend, options=f"{QUIET} --max-connections 5") as door:
        kept = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(5)]
        for reader, writer in kept:
            writer.write(GET)
            assert status_of(await reader.readuntil(b"ok")) == 200
        begun = time.monotonic()
        for number in range(40):  # far more than may stay to read it
            answer = await refused_or_cut(door.port)
            assert answer == b"" or (status_of(answer) == 503 and b"Retry-After: 1" in answer)
            assert answer or number >= 10
        assert time.monotonic() - begun < 5
        assert await door.metric("balancer_shed_total", reason="connections") == 40
        for reader, writer in kept:
            writer.write(GET)
            assert status_of(await reader.readuntil(b"ok")) == 200
            writer.close()
        async with asyncio.timeout(10):
            while not (await refused_or_cut(door.port)).startswith(b"HTTP/1.1 200"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    await backend.stop()


async def refused_or_cut(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(GET)
        return await reader.read(4096)
    except ConnectionError:
        return b""
    finally:
        writer.close()
