"""Clients that nobody here wrote, against a running balancer with a small backend behind it.

`make test` installs them where it may (tests/programs.py); a test of one that is not there says so.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import websockets

from tests.balancer_process import BalancerProcess, balancer
from tests.echo_backend import EVENT_SECONDS, EVENTS, EchoBackend, echo_backend
from tests.programs import PACKAGES
from tests.wire.corpus.door import nginx

BODY = bytes(range(256)) * 2000


class Door:
    def __init__(self, process: BalancerProcess, backend: EchoBackend, folder: Path) -> None:
        self.process = process
        self.backend = backend
        self.folder = folder
        self.url = f"http://127.0.0.1:{process.port}"

    async def run(self, *command: str, seconds: float = 60) -> str:
        """What a program prints; it must end well."""
        program = needs(command[0])
        running = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await running.communicate()
        except TimeoutError:
            running.kill()
            raise
        assert running.returncode == 0, err.decode()
        return out.decode()

    async def curl(self, path: str, *options: str) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and body of the last answer."""
        head, body = self.folder / "head", self.folder / "body"
        await self.run(
            *("curl", "-sS", "--max-time", "20", "-D", str(head), "-o", str(body)),
            *options,
            self.url + path,
        )
        last = head.read_text().replace("\r", "").strip().split("\n\n")[-1].split("\n")
        fields = dict(line.lower().split(": ", 1) for line in last[1:])
        return int(last[0].split()[1]), fields, body.read_bytes() if body.exists() else b""


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: {PACKAGES[program]} of Debian has it")
    return found


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with (
        echo_backend() as backend,
        balancer(tmp_path, str(backend.address)) as process,
    ):
        yield Door(process, backend, tmp_path)


def check_echo(told: dict[str, Any], method: str, body: bytes = b"") -> None:
    assert told["method"] == method
    assert told["version"] == "1.1"
    assert told["bytes"] == len(body)
    assert told["sha256"] == sha256(body).hexdigest()
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert told["headers"]["via"] == "1.1 balancer"


# curl


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
async def test_curl_in_every_version_it_speaks(door: Door, version: str):
    status, fields, body = await door.curl("/echo", version)
    assert status == 200
    assert "upgrade" not in fields
    told = json.loads(body)
    check_echo(told, "GET")
    assert "upgrade" not in told["headers"]
    assert "http2-settings" not in told["headers"]


async def test_curl_with_prior_knowledge_of_http2_is_refused_cleanly(door: Door):
    with pytest.raises(AssertionError, match=r"curl: \((16|52|55|56)\)"):
        await door.curl("/echo", "--http2-prior-knowledge")
    status, _fields, _body = await door.curl("/echo")
    assert status == 200


@pytest.mark.parametrize("how", ["length", "chunked", "expect", "http1.0"])
async def test_curl_uploads(door: Door, how: str):
    (door.folder / "upload").write_bytes(BODY)
    options = {
        "length": ["-H", "Expect:"],
        "chunked": ["-H", "Transfer-Encoding: chunked"],
        "expect": ["-H", "Expect: 100-continue"],
        "http1.0": ["--http1.0"],
    }[how]
    status, _fields, body = await door.curl("/echo", *options, "--data-binary", "@upload")
    assert status == 200
    check_echo(json.loads(body), "POST", BODY)


async def test_curl_that_asks_first_sends_no_body_that_is_too_long(door: Door):
    (door.folder / "upload").write_bytes(bytes(3_000_000))
    options = ["-H", "Expect: 100-continue", "--data-binary", "@upload", "-w", "%{size_upload}"]
    out = await door.run(
        "curl", "-sS", "--max-time", "20", "-o", "body", *options, door.url + "/echo"
    )
    assert out == "0"
    assert json.loads((door.folder / "body").read_bytes())["error"].startswith("body longer")


async def test_curl_keeps_its_connection_over_head_and_errors(door: Door):
    urls = [f"{door.url}/echo", f"{door.url}/nowhere", f"{door.url}/echo"]
    out = await door.run("curl", "-sS", "-I", "-w", "%{num_connects} %{http_code}\n", *urls)
    counts = [line for line in out.splitlines() if line[:2] in ("0 ", "1 ")]
    assert counts == ["1 200", "0 404", "0 200"]


async def test_curl_is_told_why_in_the_form_it_asked_for(tmp_path: Path):
    async with (
        echo_backend() as backend,
        balancer(tmp_path, "127.0.0.1:1", options="--health-path off") as process,
    ):
        door = Door(process, backend, tmp_path)
        status, fields, body = await door.curl("/")
        assert (status, fields["content-type"]) == (502, "application/json")
        assert fields["proxy-status"] == "balancer; error=connection_refused"
        assert json.loads(body)["request_id"] == fields["x-request-id"]
        status, fields, body = await door.curl("/", "-H", "Accept: text/plain")
        assert (status, fields["content-type"]) == (502, "text/plain; charset=utf-8")
        assert fields["x-request-id"].encode() in body


# Python


async def test_aiohttp_asks_streams_and_talks(door: Door):
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 50_000):
            yield BODY[start : start + 50_000]

    async with aiohttp.ClientSession(door.url) as session:
        async with session.post("/echo", data=pieces(), expect100=True) as answer:
            check_echo(await answer.json(), "POST", BODY)
        began, seen = time.monotonic(), []
        async with session.get("/sse") as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    seen.append(time.monotonic() - began)
        assert len(seen) == EVENTS
        assert seen[-1] - seen[0] > EVENT_SECONDS * (EVENTS - 2)
        async with session.ws_connect("/ws") as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
            await socket.send_bytes(BODY)
            assert await socket.receive_bytes() == BODY
            await socket.close()
            assert socket.close_code == 1000


async def test_httpx_asks_and_streams(door: Door):
    async with httpx.AsyncClient(base_url=door.url) as client:
        for _ in range(3):
            check_echo((await client.put("/echo", content=BODY)).json(), "PUT", BODY)
        async with client.stream("GET", "/sse") as answer:
            lines = [line async for line in answer.aiter_lines() if line]
        assert lines == [f"data: {number}" for number in range(EVENTS)]
        assert (await client.head("/echo")).status_code == 200


async def test_requests_asks_and_uploads_in_chunks(door: Door):
    def ask() -> None:
        with requests.Session() as session:
            for _ in range(3):
                check_echo(session.get(f"{door.url}/echo", timeout=20).json(), "GET")
            upload = iter([BODY[:1000], BODY[1000:]])
            check_echo(
                session.post(f"{door.url}/echo", data=upload, timeout=20).json(), "POST", BODY
            )
            too_long = session.post(f"{door.url}/echo", data=bytes(1_100_000), timeout=20)
            assert too_long.status_code == 413

    await asyncio.to_thread(ask)


async def test_websockets_talks_pings_and_closes(door: Door):
    async with websockets.connect(
        door.url.replace("http", "ws") + "/ws", max_size=None, proxy=None
    ) as socket:
        await (await socket.ping())
        for message in ("words", BODY, "x" * 1_000_000):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.close(1000, "enough")
    assert socket.close_code == 1000
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(door.url.replace("http", "ws") + "/nowhere", proxy=None)
    assert refused.value.response.status_code == 404


async def test_websockets_talks_through_nginx_the_balancers_twin_too(tmp_path: Path):
    async with (
        echo_backend() as backend,
        nginx(backend.address.port, tmp_path) as port,
        websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as socket,
    ):
        await socket.send("words")
        assert await socket.recv() == "words"


# Node, load generators, a browser

NODE = """
const http = require('http'), body = 'x'.repeat(300000);
(async () => {
  const told = [];
  for (let i = 0; i < 3; i++)
    told.push(await (await fetch(URL_ + '/echo', {method: 'POST', body})).json());
  const agent = new http.Agent({keepAlive: true, maxSockets: 1});
  for (const method of ['GET', 'DELETE'])
    told.push(await new Promise((done, failed) => http.request(URL_ + '/echo', {agent, method},
      answer => {
        let text = '';
        answer.on('data', piece => text += piece).on('end', () => done(JSON.parse(text)));
      }).on('error', failed).end()));
  const reader = (await fetch(URL_ + '/sse')).body.getReader();
  let events = '';
  for (let piece; !(piece = await reader.read()).done;) events += Buffer.from(piece.value);
  agent.destroy();
  console.log(JSON.stringify({told, events}));
})();
"""


async def test_node_asks_by_fetch_and_by_http(door: Door):
    (door.folder / "ask.js").write_text(NODE.replace("URL_", json.dumps(door.url)))
    told = json.loads(await door.run("node", "ask.js"))
    *fetched, got, deleted = told["told"]
    for one in fetched:
        check_echo(one, "POST", b"x" * 300_000)
    check_echo(got, "GET")
    check_echo(deleted, "DELETE")
    assert told["events"] == "".join(f"data: {number}\n\n" for number in range(EVENTS))


async def test_wrk_meets_no_error(door: Door):
    out = await door.run("wrk", "-t1", "-c8", "-d1s", f"{door.url}/echo")
    assert "Requests/sec:" in out
    assert "Non-2xx" not in out
    assert "Socket errors" not in out


@pytest.mark.parametrize("keep", [[], ["-k"]])
async def test_ab_meets_no_error(door: Door, keep: list[str]):
    out = await door.run("ab", *keep, "-n", "200", "-c", "4", f"{door.url}/echo")
    assert "Complete requests:      200" in out
    assert "Non-2xx" not in out


async def test_a_browser_loads_a_page_gets_events_and_talks(door: Door):
    program = needs("chromium")
    browser = await asyncio.create_subprocess_exec(
        *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--no-proxy-server", f"--user-data-dir={door.folder / 'profile'}"),
        door.url + "/page",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(90):
            told = await door.backend.result
    finally:
        browser.terminate()
        await browser.wait()
    check_echo(told["fetched"], "POST", b"x" * 200_000)
    assert told["events"] == [str(number) for number in range(EVENTS)]
    assert told["words"] == [5, 100_000, 1000, True]
