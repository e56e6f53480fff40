"""The benchmarks with real servers, for a second each: do they measure, and do they notice errors?

Where wrk is not installed the tests hold that this is said.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.bench import closed_loop, paced_load
from tests.bench.bench import Bench, Measurement
from tests.bench.closed_loop import Request, Side
from tests.bench.cores import plan
from tests.bench.effort import QUICK
from tests.bench.measurements import balancer_requests, resilience, store
from tests.bench.paced import Outcome, Plan
from tests.bench.peers import Contender, backend
from tests.bench.processes import ProgramError, allowed_cpus
from tests.bench.programs import MissingProgramError
from tests.bench.results import Result
from tests.bench.runner import run_one

WRK = shutil.which("wrk") is not None
CORES = plan(allowed_cpus())
PLAN = Plan(port=0, request=paced_load.head("/100B"), rate=200.0, seconds=0.5)
METHOD = Measurement(
    "method", "", "", 0, "direct", closed_loop.METRICS, (), lambda bench: None
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(METHOD.empty_result(), QUICK, CORES, tmp_path, lambda text: None)
    with bench.for_a_while():
        yield bench


@pytest.fixture
def nginx(bench: Bench) -> Contender:
    """The backend of the benchmarks: real NGINX with static answers."""
    return backend.start(bench)


def measured(bench: Bench, nginx: Contender, request: Request) -> Result:
    """A round of wrk; without wrk the refusal is held to say so, and the result is empty."""
    if WRK:
        closed_loop.measure(bench, "case", [Side(nginx, request)])
    else:
        with pytest.raises(MissingProgramError, match="wrk is not installed; to get it"):
            closed_loop.measure(bench, "case", [Side(nginx, request)])
    return bench.result


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("/nope"), "status above 399"),
        (Request("/100B", least=1000), "not 1000"),
        (Request("/100B", refused="xxx"), "answers say 'xxx'"),
        (Request("/10kB", upload=100), "status above 399"),
    ],
    ids=["errors", "too short", "refused", "no uploads there"],
)
def test_a_server_that_answers_with_errors_is_reported_as_invalid(
    bench: Bench, nginx: Contender, request_: Request, reason: str
):
    result = measured(bench, nginx, request_)
    if WRK:
        (row,) = result.rows
        assert reason in row.invalid[0]
        assert row.spread("rate") is None
        assert not result.is_good


def test_a_server_that_dies_is_reported_as_failed(tmp_path: Path):
    def dies(bench: Bench) -> None:
        direct = backend.start(bench)
        for process in direct.trees[0].processes():
            process.kill()
        closed_loop.measure(bench, "case", [Side(direct, Request("/100B"))])

    result = run_one(replace(METHOD, run=dies), QUICK, CORES, tmp_path)
    if WRK:
        assert "onnection refused" in result.failed["method"]
    else:
        assert "wrk is not installed" in result.absent["method"]
    assert result.is_good is not WRK


def test_a_program_that_does_not_start_is_named_with_its_last_words(tmp_path: Path):
    def bad(bench: Bench) -> None:
        with bench.contender("peer"):
            program = bench.start("peer", ["sh", "-c", "echo no such option; exit 3"])
            program.wait_until(lambda: False)

    result = run_one(replace(METHOD, run=bad), QUICK, CORES, tmp_path)
    assert result.failed == {"peer": "peer ended at once: no such option"}


def test_an_upload_arrives_whole(bench: Bench, nginx: Contender):
    result = measured(bench, nginx, Request("/upload", least=100, upload=10_000))
    assert WRK is bool(result.rows)
    assert not any(row.invalid for row in result.rows)


def test_every_proxy_that_is_installed_does_the_job_and_the_others_are_named(tmp_path: Path):
    result = run_one(balancer_requests.MEASUREMENT, QUICK, CORES, tmp_path)
    if not WRK:
        assert "wrk is not installed" in result.absent["balancer-requests"]
        return
    assert result.failed == {}
    assert {"ours", "NGINX", "plain aiohttp"} <= set(result.contenders)
    named = {"ours", "ours, compiled", "NGINX", "HAProxy", "Envoy", "plain aiohttp"}
    assert set(result.contenders) | set(result.absent) == named
    for row in result.rows:
        assert row.invalid == []
        assert all(samples[0] > 0 for samples in row.samples.values())
    assert result.ratio(result.row("100 B", "ours"), result.headline) is not None
    assert result.run["versions"]["nginx"]
    assert leftovers(tmp_path) == []


def test_resilience_and_store_need_nothing_but_redis(tmp_path: Path):
    for number, one in enumerate((resilience.MEASUREMENT, store.MEASUREMENT)):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = run_one(one, QUICK, CORES, folder)
        assert result.is_good, (result.failed, [row.invalid for row in result.rows])
        assert result.find(result.cases[0], "ours") is not None
        assert result.find(result.cases[0], result.baseline) is not None
    assert leftovers(tmp_path) == []


def test_a_pool_is_charged_with_the_time_of_its_workers(bench: Bench):
    busy = "import os, time; os.fork()\nwhile time.process_time() < 0.3: pass\ntime.sleep(60)"
    program = bench.start("busy", [sys.executable, "-c", busy])
    program.wait_until(lambda: program.tree.cpu_seconds() >= 0.5)  # counted in ticks of 0.01
    assert program.tree.use().processes == 2


def leftovers(folder: Path) -> list[str]:
    """Processes that work with files of this folder."""
    return [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline"])
        if str(folder) in " ".join(process.info["cmdline"] or ())
    ]


# The open-loop generator, against servers in the test's own loop.


@asynccontextmanager
async def serving(answer: bytes, stall_at: int = 0, stall: float = 0.0) -> AsyncIterator[int]:
    """A server that answers everything with these bytes; once it stands still, with all its
    connections."""
    asked = 0

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            nonlocal asked
            asked += 1
            if asked == stall_at:
                time.sleep(stall)
            self.transport.write(answer)
            if b"close" in answer:
                self.transport.close()

    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def outcome(port: int, **changes: object) -> Outcome:
    told = replace(PLAN, port=port, **changes)  # type: ignore[arg-type]
    return await asyncio.to_thread(paced_load.run, told, frozenset())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OK.replace(b"200 OK", b"500 Oh"), "status 500"),
        (OK.replace(b": 2", b": 3").replace(b"\r\n\r\n", b"\r\nx: close\r\n\r\n"), "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    ],
    ids=["status", "cut", "not HTTP"],
)
async def test_errors_are_counted_and_make_the_run_worthless(answer: bytes, reason: str):
    async with serving(answer) as port:
        told = await outcome(port)
    assert any(reason in error for error in told.errors), told.errors
    problem = told.problem()
    assert problem is not None
    assert reason in problem


async def test_nobody_listening_is_an_error_in_one_line():
    async with serving(OK) as port:
        pass
    with pytest.raises(ProgramError, match="refused"):
        await outcome(port)


async def test_every_request_is_sent_and_answered_once():
    async with serving(OK) as port:
        told = await outcome(port, mark="ok")
    assert told.problem() is None
    assert told.answered == told.planned == told.marked > 0


async def test_a_stall_hits_everybody_who_was_due_meanwhile():
    """A closed loop with as many connections would see it a few times; here half of all requests
    were due while the server stood still, and waited for it."""
    async with serving(OK, stall_at=50, stall=0.6) as port:
        told = await outcome(port, seconds=1.0, connections=4)
    assert told.problem() is None
    assert told.latency["p90"] > 0.3
