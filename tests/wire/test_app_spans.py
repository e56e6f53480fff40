"""`python -m app` sends OpenTelemetry spans to a collector, when it is told of one."""

from __future__ import annotations

import asyncio
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.redis_server import free_port
from tests.scripted_backend import ScriptedBackend, answers
from tests.wire.test_app_processes import GOOD, Instance

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Collector:
    """Takes spans as the OpenTelemetry Protocol has them over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for of_process in told.resource_spans:
            resource = attributes(of_process.resource)
            self.services.add(resource["service.name"])
            for scope in of_process.scope_spans:
                self.spans += scope.spans
        return web.Response(content_type="application/x-protobuf")

    def named(self, name: str) -> list[Span]:
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


def attributes(one: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in one.attributes
    }


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedBackend]:
    """Fails the first of all attempts."""
    backend = await ScriptedBackend().start()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        await answers(FAILED if len(backend.heads) == 1 else GOOD)(reader, writer, head)

    backend.script = script
    yield backend
    await backend.stop()


def ask(port: int, flags: str) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 200


@asynccontextmanager
async def serving(folder: Path, url: str, upstream: ScriptedBackend) -> AsyncIterator[Instance]:
    address = f"http://127.0.0.1:{upstream.port}/data"
    instance = Instance(
        folder, "--workers", "1", "--upstream", address, "--otlp-endpoint", url,
        "--access-log", "access.jsonl",
    )  # fmt: skip
    try:
        yield await asyncio.to_thread(instance.wait_ready)
        assert "Traceback" not in instance.log.read_text()
    finally:
        instance.end()


async def test_a_request_and_its_attempts_are_spans_of_the_callers_trace(
    tmp_path: Path,
    collector: Collector,
    upstream: ScriptedBackend,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    async with serving(tmp_path, collector.url, upstream) as instance:
        await asyncio.to_thread(ask, instance.port, "01")
        await asyncio.to_thread(ask, instance.port, "00")  # its caller samples it not
        log = tmp_path / "access.jsonl"  # both are written a little later

        def told() -> bool:
            return len(collector.spans) >= 3 and log.read_text().count('"path":"/"') == 2

        async with asyncio.timeout(10):
            while not told():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert collector.services == {"app1"}
    assert {span.trace_id.hex() for span in collector.named("GET")} == {TRACE}
    (request,) = collector.named("GET /")
    assert request.kind == Span.SPAN_KIND_SERVER
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(request)["http.response.status_code"] == 200
    assert attributes(request)["http.route"] == "/"
    assert request.span_id.hex() in log.read_text()

    failed, good = collector.named("GET")
    heads = b"".join(upstream.heads[:2]).decode()
    for number, attempt in enumerate((failed, good)):
        assert attempt.kind == Span.SPAN_KIND_CLIENT
        assert attempt.parent_span_id == request.span_id
        assert attributes(attempt).get("http.request.resend_count", 0) == number
        assert request.start_time_unix_nano <= attempt.start_time_unix_nano
        assert attempt.end_time_unix_nano <= request.end_time_unix_nano
        # What the external service was told is what was sent.
        assert f"00-{TRACE}-{attempt.span_id.hex()}-01" in heads
    assert attributes(failed)["error.type"] == "http_error"
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert good.status.code == Status.STATUS_CODE_UNSET


async def test_a_collector_that_is_not_there_costs_no_answer(
    tmp_path: Path, upstream: ScriptedBackend
):
    async with serving(tmp_path, f"http://127.0.0.1:{free_port()}", upstream) as instance:
        for _ in range(3):
            await asyncio.to_thread(ask, instance.port, "01")


def test_without_the_packages_it_serves_and_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    without = "import sys; sys.modules['opentelemetry'] = None"
    (tmp_path / "sitecustomize.py").write_text(without)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    instance = Instance(tmp_path, "--workers", "1")
    try:
        instance.wait_ready()
        assert instance.ask("/healthz") == {"status": "ok"}
    finally:
        instance.end()
    lines = [line for line in instance.log.read_text().splitlines() if "OpenTelemetry" in line]
    assert len(lines) == 1
    assert "pip install '.[otel]'" in lines[0]
