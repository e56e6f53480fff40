"""The console as a real process beside a real supervisord."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.console.site import ROUTES
from tests.ops_stack import ROOT, Stack, eventually, free_port


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


class Console(Stack):
    port = 0

    def get(
        self, path: str, *, host: str | None = None, method: str = "GET", timeout: float = 20
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            headers = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())
        finally:
            connection.close()

    def post(self, headers: dict[str, str], fault: str = "put-right") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", f"/api/faults/{fault}", headers=headers)
            response = connection.getresponse()
            return Answer(response.status, {}, response.read().decode())
        finally:
            connection.close()


@contextlib.contextmanager
def running() -> Iterator[Console]:
    with Console(Path(tempfile.mkdtemp(prefix="ops"))) as one:
        one.web("door")
        one.port = free_port()
        one.section(
            "program:console",
            f"{sys.executable} -m monitoring.console --listen 127.0.0.1:{one.port}",
            stack_url=f"http://127.0.0.1:{one.port}/",
            stack_ready=f"http://127.0.0.1:{one.port}/readyz",
        )
        done = one.up()
        assert done.returncode == 0, done.stderr
        yield one


@pytest.fixture(scope="module")
def shared() -> Iterator[Console]:
    """For tests that leave everything as it is."""
    with running() as one:
        yield one


@pytest.fixture
def stack() -> Iterator[Console]:
    with running() as one:
        yield one


def state(stack: Console) -> dict[str, dict[str, object]]:
    told = json.loads(stack.get("/api/state").text)
    return {program["name"]: program for program in told["programs"]}


def test_a_foreign_host_name_is_refused_because_its_page_could_read_ours(shared: Console):
    for host in ("evil.example", f"evil.example:{shared.port}", "127.0.0.1.nip.io"):
        refused = shared.get("/", host=host)
        assert refused.status == 421
        assert "door" not in refused.text
    assert shared.get("/", host="localhost:1").status == 200
    assert shared.get("/", host="[::1]").status == 200


def test_nothing_can_be_changed(shared: Console):
    for method in ("POST", "PUT", "DELETE"):
        assert shared.get("/", method=method).status == 405
        assert shared.get("/api/state", method=method).status == 405


def test_a_change_needs_post_the_token_the_own_origin_and_a_host_that_is_ours(shared: Console):
    token = re.findall('console-token" content="([^"]+)"', shared.get("/").text)[0]
    own = {"Origin": f"http://127.0.0.1:{shared.port}", "X-Console-Token": token}
    assert shared.post(own).status == 200
    assert shared.post(own | {"Origin": "http://evil.example"}).status == 403
    assert shared.post(own | {"X-Console-Token": "guess"}).status == 403
    assert shared.post({"X-Console-Token": token}).status == 403
    assert shared.post({"Origin": own["Origin"]}).status == 403
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert shared.post(own | rebound).status == 421
    assert shared.get("/api/faults/put-right").status == 405
    unknown = shared.post(own, "rm-rf")
    assert (unknown.status, json.loads(unknown.text)["allowed"]) == (404, ["put-right"])


def test_the_charts_library_is_the_installed_packages_own_file(shared: Console):
    script = shared.get("/plotly.min.js")
    assert script.status == 200
    assert "/javascript" in script.headers["content-type"]
    assert "plotly.js v" in script.text[:200]


def test_the_stream_tells_the_history_then_a_look_each_second_and_ends_with_the_listener(
    shared: Console,
):
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
    connection.request("GET", "/api/live")
    stream = connection.getresponse()
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    told = [stream.readline().decode().strip() for _ in range(8)]
    assert told[0] == "retry: 1000"
    assert told[2] == "event: history"
    assert told[5] == "event: look"
    assert "All is well" in json.loads(told[6].removeprefix("data: "))["sentence"]
    connection.close()


def test_a_program_that_dies_is_seen_and_named(stack: Console):
    stack.command("supervisorctl", "stop", "door")
    eventually(lambda: state(stack)["door"]["condition"] == "stopped")
    page = stack.get("/").text
    assert "Degraded: door is stopped." in page


def test_a_program_that_hangs_is_seen_though_supervisord_calls_it_running(stack: Console):
    eventually(lambda: stack.state("door") == "RUNNING")
    pid = stack.supervisor.processes()["door"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: state(stack)["door"]["condition"] == "starting")
        assert state(stack)["door"]["note"] == "no answer within 1 s"
        assert state(stack)["door"]["state"] == "RUNNING"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_it_answers_while_supervisord_hangs(stack: Console):
    pid = stack.supervisor.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        page = stack.get("/")
        assert page.status == 200
        eventually(lambda: "supervisord does not answer" in stack.get("/").text)
        assert state(stack)["door"]["condition"] == "ready"
        assert stack.get("/readyz").status == 200
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: "All is well" in stack.get("/").text)


def test_it_answers_when_supervisord_is_dead(stack: Console):
    psutil.Process(stack.supervisor.pid()).kill()
    eventually(lambda: "supervisord does not answer" in stack.get("/").text)
    assert state(stack)["door"]["condition"] == "ready"


def test_the_page_names_every_program_with_its_address_and_may_load_nothing_foreign(
    shared: Console,
):
    page = shared.get("/")
    assert page.status == 200
    assert "All is well: 2 programs are ready." in page.text
    for program in json.loads(shared.get("/api/state").text)["programs"]:
        assert program["url"] in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    style = shared.get("/style.css")
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert shared.get("/nothing").status == 404
    assert shared.get("/", method="HEAD").status == 200


def test_its_own_metrics_count_and_their_labels_are_bounded(shared: Console):
    for path in ("/", "/x1", "/x2", "/x3"):
        shared.get(path)
    families = {
        family.name: family
        for family in text_string_to_metric_families(shared.get("/metrics").text)
    }
    requests = families["http_requests"].samples
    routes = {sample.labels["route"] for sample in requests}
    assert routes <= {*ROUTES, "_OTHER"}
    (others,) = [
        sample.value
        for sample in requests
        if sample.labels["route"] == "_OTHER" and sample.labels["status"] == "404"
    ]
    assert others >= 3
    assert families["uptime_seconds"].samples[0].value > 0
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6


def test_many_viewers_of_a_hanging_program_wait_no_longer_than_one(stack: Console):
    pid = stack.supervisor.processes()["door"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(20) as viewers:
            began = time.monotonic()
            answers = list(viewers.map(lambda _: stack.get("/api/state"), range(20)))
            took = time.monotonic() - began
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {answer.status for answer in answers} == {200}
    assert took < 10  # each look takes 1 s


def test_a_port_in_use_is_one_line_naming_the_variable_that_moves_it(shared: Console):
    done = subprocess.run(
        (sys.executable, "-m", "monitoring.console", "--listen", f"127.0.0.1:{shared.port}"),
        cwd=shared.folder, env=shared.environ, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"error: console cannot listen on 127.0.0.1:{shared.port} (Address already in use): "
        "CONSOLE_PORT moves it\n"
    )


@pytest.mark.parametrize("bad", ["8081", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:x", ":8081"])
def test_an_address_that_is_none_is_refused(bad: str):
    done = subprocess.run(
        (sys.executable, "-m", "monitoring.console", "--listen", bad),
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{bad!r} is not HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
