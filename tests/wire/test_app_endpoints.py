"""Every endpoint of the app, over real sockets, with real redis servers that die and freeze."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app import ids
from app.resilience import LimitPolicy
from app.settings import Settings
from monitoring.page import MetricsPage
from tests.app_under_test import NOWHERE, RunningApp, eventually, running, settings
from tests.exposition_text import Sample, sample
from tests.redis_server import RedisServer, free_port
from tests.scripted_backend import ScriptedBackend, answers, never_answers

DATA = {"timestamp": 1752490124092, "message": "External service OK"}
FALLBACK = {"message": "Fallback response"}
_BODY = json.dumps(DATA).encode()
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
ERROR = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    """Two shards for all tests that leave them as they are."""
    with (
        RedisServer(tmp_path_factory.mktemp("redis1")) as one,
        RedisServer(tmp_path_factory.mktemp("redis2")) as two,
    ):
        yield [one, two]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """A shard that the test may kill or freeze."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedBackend]:
    backend = await ScriptedBackend(answers(GOOD)).start()
    yield backend
    await backend.stop()


def told(folder: Path, upstream: ScriptedBackend, servers: list[RedisServer]) -> Settings:
    urls = [server.url for server in servers]
    return settings(folder, f"http://127.0.0.1:{upstream.port}/data", *urls)


@pytest.fixture
async def app(
    tmp_path: Path, upstream: ScriptedBackend, servers: list[RedisServer]
) -> AsyncIterator[RunningApp]:
    async with running(told(tmp_path, upstream, servers)) as app:
        yield app


# GET /


async def test_while_the_external_service_is_down_the_answer_is_200_with_the_fallback(
    tmp_path: Path, servers: list[RedisServer]
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/data"
    async with running(settings(tmp_path, nobody, *(s.url for s in servers))) as app:
        reply = await app.get()
        assert reply.status == 200
        assert reply.json["data"] == FALLBACK
        assert reply.json["source"] == reply.headers["X-Source"] == "fallback"
        read = await app.get(f"/data/{reply.json['id']}")
        assert read.json == {"id": reply.json["id"], "data": FALLBACK, "source": "fallback"}
        assert await app.metric("fallbacks_total", reason="retries_exhausted") == 1
        assert await app.metric("external_calls_total", result="fallback") == 1
        assert await app.metric("external_requests_total", outcome="connect_error") == 4
        assert await app.metric("external_retries_total", reason="connect_error") == 3
        (line,) = await app.logged("/")
        assert (line["source"], line["attempts"], line["status"]) == ("fallback", 4, 200)
        assert line["reason"] == "retries_exhausted"


async def test_a_hanging_service_is_left_within_the_callers_time(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    upstream.script = never_answers
    reply = await app.get(x_request_timeout_ms="400")
    assert reply.json["data"] == FALLBACK
    assert await app.metric("external_requests_total", outcome="timeout") <= 5
    assert await app.metric("fallbacks_total", reason="deadline") == 1
    left = [int(head.split(b"Timeout-Ms: ")[1].split(b"\r\n")[0]) for head in upstream.heads]
    assert 300 <= left[0] <= 400
    assert left == sorted(left, reverse=True), "each attempt is told what is left"


async def test_an_answer_has_the_shape_the_user_knows(app: RunningApp) -> None:
    reply = await app.get()
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert list(reply.json) == ["instance", "id", "data", "stored", "source"]
    assert isinstance(reply.json["instance"], int)
    assert reply.json["data"] == DATA
    assert reply.json["stored"] == "replicated"
    assert reply.json["source"] == reply.headers["X-Source"] == "live"
    assert 0 < reply.json["id"] < 2**53


async def test_every_id_handed_out_can_be_read_back(app: RunningApp) -> None:
    replies = await asyncio.gather(*(app.get() for _ in range(60)))
    given = [reply.json["id"] for reply in replies]
    assert len(set(given)) == 60
    for record_id in given:
        read = await app.get(f"/data/{record_id}")
        assert read.json == {"id": record_id, "data": DATA, "source": "live"}


async def test_a_retry_that_helped_is_live_and_counted_as_such(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    async def second_time(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(GOOD if len(upstream.heads) == 2 else ERROR)

    upstream.script = second_time
    reply = await app.get()
    assert reply.json["source"] == "live"
    assert await app.metric("external_calls_total", result="after_retry") == 1
    assert await app.metric("external_retries_total", reason="http_error") == 1
    (line,) = await app.logged("/")
    assert (line["attempts"], line["result"]) == (2, "after_retry")


async def test_attempts_and_their_times_are_told_in_server_timing(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    async def third_time(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        number = len(upstream.heads)
        if number == 2:
            await asyncio.sleep(3)
        writer.write(ERROR if number == 1 else GOOD)

    upstream.script = third_time
    told = (await app.get()).headers["Server-Timing"]
    assert re.fullmatch(
        r'upstream;dur=[\d.]+;desc="3 attempts, 1 retries, 1 hedges", a1;dur=[\d.]+;'
        r'desc="first http_error", a2;dur=[\d.]+;desc="hedge ok", a3;dur=[\d.]+;'
        r'desc="retry overtaken"',
        told,
    )
    assert await app.metric("external_hedges_total") == 1
    assert await app.metric("answers_total", source="live") == 1


async def test_stale_mode_gives_the_last_real_answer_with_its_age(
    tmp_path: Path, upstream: ScriptedBackend, servers: list[RedisServer]
) -> None:
    urls = [server.url for server in servers]
    told = settings(tmp_path, f"http://127.0.0.1:{upstream.port}/data", *urls, stale=60.0)
    async with running(told) as app:
        await app.get()
        upstream.script = answers(ERROR)
        reply = await app.get()
        assert reply.json["data"] == DATA
        assert reply.json["source"] == reply.headers["X-Source"] == "stale"
        assert 0 < reply.json["age_seconds"] < 10
        assert reply.headers["Age"] == "0"
        assert (await app.logged("/", 2))[-1]["source"] == "stale"
        assert await app.metric("answers_total", source="stale") == 1


async def test_after_twenty_failed_calls_nobody_asks_a_service_that_is_gone(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    upstream.script = answers(ERROR)
    for _ in range(20):
        await app.get()
    asked = len(upstream.heads)
    for _ in range(20):
        reply = await app.get()
        assert reply.status == 200
        assert reply.json["source"] == "fallback"
    assert len(upstream.heads) - asked <= 3  # one probe at most
    assert await app.metric("fallbacks_total", reason="breaker_open") >= 18


async def test_too_many_requests_are_refused_at_once_and_health_is_not(
    tmp_path: Path, upstream: ScriptedBackend, servers: list[RedisServer]
) -> None:
    urls = [server.url for server in servers]
    told = settings(tmp_path, f"http://127.0.0.1:{upstream.port}/data", *urls)
    async with running(replace(told, limit=LimitPolicy(most=1, least=1))) as app:
        replies = await asyncio.gather(*(app.get("/data/1") for _ in range(40)))
        refused = [reply for reply in replies if reply.status == 503]
        assert refused
        assert refused[0].headers["Retry-After"] == "1"
        assert {reply.status for reply in replies} == {404, 503}
        assert (await app.get("/healthz")).status == 200
        assert await app.metric("http_requests_shed_total") == len(refused)


async def test_a_write_that_did_not_happen_is_never_reported_as_stored(
    tmp_path: Path, upstream: ScriptedBackend, mortal: RedisServer
) -> None:
    async with running(told(tmp_path, upstream, [mortal])) as app:
        assert (await app.get()).json["stored"] == "replicated"
        mortal.kill()
        for reply in [await app.get() for _ in range(3)]:
            assert reply.status == 200
            assert reply.json["data"] == DATA
            assert reply.json["id"] is None
            assert reply.json["stored"] is False
        mortal.start()
        for _ in range(100):  # it is probed every 200 ms
            mended = (await app.get()).json
            if mended["stored"]:
                break
            await asyncio.sleep(0.1)
        assert mended["stored"] == "replicated"
        assert (await app.get(f"/data/{mended['id']}")).status == 200


async def test_an_answer_that_grows_when_it_is_written_again_is_stored_all_the_same(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    body = b'{"a":[' + b",".join([b"1e15"] * 13_000) + b"]}"
    upstream.script = answers(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    reply = await app.get()
    assert reply.json["stored"] == "replicated"
    assert (await app.get(f"/data/{reply.json['id']}")).json["data"] == json.loads(body)


async def test_a_client_that_goes_away_cancels_the_work_and_counts_as_no_failure(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    upstream.script = never_answers
    _, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    async def asked() -> bool:
        return bool(upstream.heads)

    async def cancelled() -> float:
        return await app.metric("external_calls_total", result="cancelled")

    await eventually(asked, "the service is asked")
    writer.close()
    await eventually(cancelled, "the call is cancelled")
    assert await app.metric("external_requests_total", outcome="cancelled") == 1
    assert await app.metric("external_calls_total", result="fallback") == 0
    assert await app.metric("requests_failed") == 0
    assert await app.metric("http_requests_total", method="GET", route="/", status="499") == 1
    assert await app.metric("http_requests_in_flight") == 1  # the one that asks
    assert len(upstream.heads) == 1


# GET /data/:id


async def test_an_unknown_id_is_404(app: RunningApp) -> None:
    reply = await app.get("/data/1234")
    assert (reply.status, reply.json) == (404, {"error": "Data not found"})


@pytest.mark.parametrize(
    "text", ["abc", "-1", "+1", "%2B1", "1.0", "1e3", str(2**53), "9" * 300, "%20", "%00", "%D9%A1"]
)
async def test_what_is_no_id_is_400_and_says_what_would_be(app: RunningApp, text: str) -> None:
    reply = await app.get(f"/data/{text}")
    assert reply.status == 400
    assert "9007199254740991" in reply.json["error"]


async def test_the_largest_id_is_an_id(app: RunningApp) -> None:
    assert (await app.get(f"/data/{ids.MAX_ID}")).status == 404


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_while_the_shard_that_must_know_is_unreachable_it_is_503_and_never_404(
    tmp_path: Path, upstream: ScriptedBackend, mortal: RedisServer, how: str
) -> None:
    async with running(told(tmp_path, upstream, [mortal])) as app:
        known = (await app.get()).json["id"]
        getattr(mortal, how)()
        for record_id in (known, 1234):
            reply = await app.get(f"/data/{record_id}")
            assert reply.status == 503
            assert reply.headers["Retry-After"] == "1"
            assert reply.headers["X-No-Retry"] == "1"
            assert "error" in reply.json
        assert (await app.get("/data/abc")).status == 400
        assert await app.metric("requests_failed") == 2
        if how == "freeze":
            mortal.thaw()

            async def readable() -> bool:
                return (await app.get(f"/data/{known}")).status == 200

            await eventually(readable, "the thawed shard is asked again")


async def test_a_record_that_cannot_be_read_is_500_with_a_request_id_and_a_traceback_in_the_log(
    tmp_path: Path,
    upstream: ScriptedBackend,
    mortal: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(told(tmp_path, upstream, [mortal])) as app:
        assert mortal.command("SET d:{7} nonsense").startswith(b"+OK")
        reply = await app.get("/data/7", x_request_id="find-me")
        assert reply.status == 500
        assert reply.json == {"error": "Internal server error", "request_id": "find-me"}
        assert reply.headers["X-Request-Id"] == "find-me"
        assert await app.metric("requests_failed") == 1
        (line,) = await app.logged("/data/7")
        assert (line["status"], line["request_id"]) == (500, "find-me")
    assert "find-me" in caplog.text
    assert "JSONDecodeError" in caplog.text


# Everything else


async def test_readiness_and_health_look_at_neither_redis_nor_the_external_service(
    tmp_path: Path,
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/data"
    async with running(settings(tmp_path, nobody, NOWHERE)) as app:
        assert (await app.get("/healthz")).json == {"status": "ok"}
        ready = await app.get("/readyz")
        assert (ready.status, ready.json) == (200, {"status": "ready"})


async def test_readiness_turns_503_as_soon_as_the_pool_stops_and_requests_are_still_served(
    app: RunningApp,
) -> None:
    app.pool_stops()
    reply = await app.get("/readyz")
    assert (reply.status, reply.json) == (503, {"status": "draining"})
    assert (await app.get("/healthz")).status == 200
    assert (await app.get()).json["source"] == "live"


async def test_an_unknown_path_is_404_and_a_wrong_method_405_in_json(app: RunningApp) -> None:
    reply = await app.get("/nothing/here")
    assert (reply.status, reply.json) == (404, {"error": "There is nothing at this path"})
    reply = await app.get("/", method="POST")
    assert reply.status == 405
    assert set(reply.headers["Allow"].split(",")) == {"GET", "HEAD"}
    assert reply.json == {"error": "This path does not take this method"}
    head = await app.get("/healthz", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    samples = await app.samples()
    key = sample("http_requests_total", method="POST", route="_OTHER", status="405")
    assert samples[key] == 1


@pytest.mark.parametrize("given", ["abc-1._Z", "a" * 128])
async def test_a_request_id_is_taken_sent_back_logged_and_sent_on(
    app: RunningApp, upstream: ScriptedBackend, given: str
) -> None:
    reply = await app.get(x_request_id=given)
    assert reply.headers["X-Request-Id"] == given
    assert f"X-Request-Id: {given}\r\n".encode() in upstream.heads[0]
    (line,) = await app.logged("/")
    assert line["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, "ä", "a;b", "<x>"])
async def test_a_request_id_that_could_do_harm_is_replaced(app: RunningApp, given: str) -> None:
    made = (await app.get("/healthz", x_request_id=given)).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


async def test_the_log_has_a_line_for_each_request_that_tells_how_it_went(app: RunningApp) -> None:
    reply = await app.get("/?a=1%0A2")
    (line,) = await app.logged("/?a=1%0A2")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("duration_ms") > line.pop("upstream_ms") > 0
    assert re.fullmatch(r"[0-9a-f]{32}", line.pop("trace_id"))
    assert re.fullmatch(r"[0-9a-f]{16}", line.pop("span_id"))
    assert line == {
        "parent_id": "",
        "service": "app1",
        "worker": reply.json["instance"],
        "request_id": reply.headers["X-Request-Id"],
        "method": "GET",
        "path": "/?a=1%0A2",
        "status": 200,
        "attempts": 1,
        "retries": 0,
        "hedges": 0,
        "source": "live",
        "result": "first_try",
        "id": reply.json["id"],
        "stored": "replicated",
    }


async def test_a_trace_goes_on_with_a_part_of_its_own_for_every_attempt(
    app: RunningApp, upstream: ScriptedBackend
) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    upstream.script = answers(ERROR)
    await app.get(traceparent=f"00-{trace}-{parent}-00", tracestate="a=1")
    (line,) = await app.logged("/")
    assert (line["trace_id"], line["parent_id"]) == (trace, parent)
    sent = [re.search(rb"traceparent: 00-(\w+)-(\w+)-00\r\n", head) for head in upstream.heads]
    assert [one and one[1].decode() for one in sent] == [trace] * 4
    parts = [one[2].decode() for one in sent if one]
    assert len({*parts, parent, line["span_id"]}) == 6
    assert parts == [one["span_id"] for one in line["tries"]]
    assert [one["kind"] for one in line["tries"]] == ["first", "retry", "retry", "retry"]
    assert {one["outcome"] for one in line["tries"]} == {"http_error"}
    assert all(b"tracestate: a=1\r\n" in head for head in upstream.heads)


@pytest.mark.parametrize("given", ["", "x", f"00-{'0' * 32}-00f067aa0ba902b7-01", "00-ä-1-01"])
async def test_a_trace_that_is_none_is_replaced(
    app: RunningApp, upstream: ScriptedBackend, given: str
) -> None:
    await app.get(traceparent=given, tracestate="a=1")
    (line,) = await app.logged("/")
    assert f"traceparent: 00-{line['trace_id']}-".encode() in upstream.heads[0]
    assert line["parent_id"] == ""
    assert line["trace_id"] not in ("0" * 32, "")
    assert b"tracestate" not in upstream.heads[0]


async def test_what_is_no_http_is_400_counted_and_not_in_the_log(
    app: RunningApp, caplog: pytest.LogCaptureFixture
) -> None:
    for noise in (
        b"\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
    ):
        assert (await app.raw(noise)).startswith(b"HTTP/1.0 400") or b" 400 " in await app.raw(
            noise
        )
    samples = await app.samples()
    assert (
        samples[sample("http_requests_total", method="_OTHER", route="_OTHER", status="400")] >= 3
    )
    assert "Traceback" not in caplog.text
    assert (await app.get("/healthz")).status == 200


# GET /metrics


async def test_metrics_exist_with_0_from_the_start(app: RunningApp) -> None:
    samples = await app.samples()
    for name in ("requests_total", "requests_failed", "external_request_duration_seconds_count"):
        assert samples[sample(name)] == 0
    for outcome in ("ok", "http_error", "timeout", "connect_error", "bad_answer", "cancelled"):
        assert samples[sample("external_requests_total", outcome=outcome)] == 0
    for route in ("/", "/data/:id", "/metrics", "/readyz", "/healthz"):
        key = sample("http_requests_total", method="GET", route=route, status="200")
        assert samples[key] == 0
    assert samples[sample("uptime_seconds")] > 0


async def test_requests_are_counted_by_route_and_not_by_path(app: RunningApp) -> None:
    for path in ("/", "/data/1", "/data/2", "/data/x", "/no/such/path", "/healthz"):
        await app.get(path)
    samples = await app.samples()
    assert samples[sample("requests_total")] == 6
    count = {
        (labels["route"], labels["status"]): value
        for (name, pairs), value in samples.items()
        if name == "http_requests_total" and value and (labels := dict(pairs))
    }
    assert count == {
        ("/", "200"): 1,
        ("/data/:id", "404"): 2,
        ("/data/:id", "400"): 1,
        ("_OTHER", "404"): 1,
        ("/healthz", "200"): 1,
    }


async def test_a_shard_that_is_down_has_no_count_and_is_told_as_down(
    tmp_path: Path, upstream: ScriptedBackend, mortal: RedisServer
) -> None:
    async with running(told(tmp_path, upstream, [mortal])) as app:
        for _ in range(3):
            await app.get()
        samples = await app.samples()
        assert samples[sample("redis_keys_total", shard="redis1")] == 3
        assert samples[sample("redis_shard_up", shard="redis1")] == 1
        mortal.freeze()
        samples = await app.samples()
        assert sample("redis_keys_total", shard="redis1") not in samples
        assert samples[sample("redis_shard_up", shard="redis1")] == 0


REQUESTS = sample("requests_total")


async def test_through_a_proxy_the_totals_are_those_of_the_fleet_and_never_go_back(
    tmp_path: Path, upstream: ScriptedBackend, servers: list[RedisServer]
) -> None:
    first, second = (told(tmp_path, upstream, servers) for _ in range(2))
    object.__setattr__(second, "name", "app2")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "notes").write_text("not a page")
    async with running(first) as one:
        async with running(second) as two:
            for _ in range(3):
                await one.get()
            await two.get()
            assert (await one.samples())[REQUESTS] == 3
            assert (await two.samples())[REQUESTS] == 1
            for app in (one, two):
                assert await _fleet(app) == 4
                assert (await app.samples("?scope=fleet"))[REQUESTS] == 4
                own = await app.samples("?scope=instance", x_forwarded_for="127.0.0.1")
                assert own[REQUESTS] == (3 if app is one else 1)
        assert await _fleet(one) == 4, "an instance that stopped still counts"
        async with running(second) as again:
            assert await _fleet(again) == 4
            assert await _fleet(one) == 4
    assert (tmp_path / "metrics" / "notes").read_text() == "not a page"


async def _fleet(app: RunningApp) -> float:
    samples: dict[Sample, float] = await app.samples(x_forwarded_for="127.0.0.1")
    return samples[REQUESTS]


async def test_an_unknown_scope_is_400(app: RunningApp) -> None:
    assert (await app.get("/metrics?scope=galaxy")).status == 400


async def test_a_new_page_of_the_fleet_is_found_and_a_removed_one_forgotten(
    tmp_path: Path, app: RunningApp
) -> None:
    page = MetricsPage(tmp_path / "metrics" / "app9")
    page.recorder(0).counter("requests_total").inc(100)
    assert await _fleet(app) == 100
    (tmp_path / "metrics" / "app9").unlink()
    assert await _fleet(app) == 0


async def test_an_answer_tells_how_long_work_waits_for_the_cpu(app: RunningApp) -> None:
    def queue_seconds(text: str) -> float:
        assert text.startswith("TEXT named_metrics.queue_seconds=")
        return float(text.partition("=")[2].partition(",")[0])

    async def told() -> float:
        return queue_seconds((await app.get("/healthz")).headers["Endpoint-Load-Metrics"])

    assert await told() < 0.2
    time.sleep(1)  # noqa: ASYNC251  the loop that the app runs on is blocked
    await eventually(lambda: _above(told, 0.2), "the wait is told")
    await eventually(lambda: _below(told, 0.1), "and forgotten when it is over")


async def _above(told: Callable[[], Awaitable[float]], seconds: float) -> bool:
    return await told() > seconds


async def _below(told: Callable[[], Awaitable[float]], seconds: float) -> bool:
    return await told() < seconds
