"""`/faults`, metrics, ids and the log of a real process."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.unstable_process import CALM, Unstable, eventually, is_silent


@pytest.fixture(scope="module")
def running() -> Iterator[Unstable]:
    with Unstable(*CALM, "--seed", "7") as process:
        yield process


@pytest.fixture
def unstable(running: Unstable) -> Iterator[Unstable]:
    """One process for all tests here, put back after each."""
    yield running
    assert running.ask("/faults", "DELETE")[0] == 200


AT_START = {
    "failure_rate": 0.0,
    "hang_rate": 0.0,
    "reset_rate": 0.0,
    "truncated_rate": 0.0,
    "garbage_rate": 0.0,
    "delay_rate": 0.0,
    "drip_rate": 0.0,
    "failure_status": 500,
    "delay_seconds": 3.0,
    "drip_seconds": 0.1,
    "seed": 7,
}


def test_what_is_shown_can_be_sent_back(unstable: Unstable):
    shown = unstable.faults()
    assert shown == AT_START
    assert unstable.set(**shown) == AT_START


def test_a_partial_change_changes_only_what_it_names_and_delete_undoes_it(unstable: Unstable):
    changed = {**AT_START, "failure_rate": 0.25, "delay_seconds": 1.0}
    assert unstable.set(failure_rate=0.25, delay_seconds=1) == changed
    assert unstable.faults() == changed
    assert unstable.metric("fault_rate", kind="failure") == 0.25
    assert json.loads(unstable.ask("/faults", "DELETE")[2]) == AT_START
    assert unstable.metric("fault_rate", kind="failure") == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"failure_rate": 1, "hang_rate": 0.1}, ["failure_rate 1 + hang_rate 0.1 is 1.1"]),
        ({"failure_rate": 1, "delay_seconds": -1}, ["delay_seconds", "from 0 to 3600", "got -1"]),
        ({"delay_rate": 0.5, "hang_rate": 7, "seed": "x"}, ["hang_rate", "seed", "got 7", '"x"']),
        ({"failure_rate": 1, "typo_rate": 1}, ['"typo_rate" is not a setting', "drip_rate"]),
        (b'{"failure_rate": NaN}', ["failure_rate", "got NaN"]),
        (b'{"failure_rate": 1', ["not JSON"]),
        (b"", ["not JSON"]),
    ],
)
def test_a_bad_change_is_a_400_that_says_why_and_changes_nothing(unstable: Unstable, body, words):
    status, headers, answer = unstable.ask("/faults", "PUT", body)
    assert (status, headers["content-type"].partition(";")[0]) == (400, "application/json")
    for word in words:
        assert word in json.loads(answer)["error"]
    assert unstable.faults() == AT_START


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:4000"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
    ],
)
def test_changing_is_refused_under_another_name_or_through_a_proxy(unstable, method, headers):
    unstable.set(hang_rate=0.5)
    status, _, answer = unstable.ask("/faults", method, {"failure_rate": 1}, **headers)
    assert status == 403
    assert "error" in json.loads(answer)
    assert unstable.faults() == {**AT_START, "hang_rate": 0.5}
    assert unstable.ask("/faults", **headers)[0] == 200  # looking is allowed


def test_a_body_too_large_is_refused_before_it_is_read_as_json(unstable: Unstable):
    assert unstable.ask("/faults", "PUT", b" " * 20_000 + b"{}")[0] == 413


def test_a_seed_sent_while_it_runs_repeats_the_run(unstable: Unstable):
    def run() -> list[int]:
        unstable.set(seed=11, failure_rate=0.5)
        return [unstable.ask()[0] for _ in range(40)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first
    unstable.set(seed=12)
    assert [unstable.ask()[0] for _ in range(40)] != first


def test_changes_while_requests_run_never_break_one_and_hold_afterwards(unstable: Unstable):
    stop = threading.Event()
    seen: list[int] = []
    broken: list[Exception] = []

    def client() -> None:
        while not stop.is_set():
            try:
                seen.append(unstable.ask()[0])
            except OSError as error:
                broken.append(error)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    for rate in [1, 0] * 25:
        assert unstable.set(failure_rate=rate)["failure_rate"] == rate
    assert eventually(lambda: {200, 500} <= set(seen))
    stop.set()
    for thread in clients:
        thread.join()
    assert broken == []
    assert set(seen) == {200, 500}
    assert {unstable.ask()[0] for _ in range(20)} == {200}


def test_a_request_under_way_keeps_the_settings_it_was_decided_by(unstable: Unstable):
    unstable.set(delay_rate=1, delay_seconds=2)
    with unstable.send() as connection:
        assert eventually(lambda: unstable.metric("http_requests_in_flight") == 2)
        unstable.set(delay_rate=0, delay_seconds=0, failure_rate=1)
        assert is_silent(connection, 0.5)
        connection.settimeout(20)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_good_request_id_comes_back_and_a_bad_one_is_replaced(unstable: Unstable):
    assert unstable.ask(**{"X-Request-Id": "Ab-1.2_3"})[1]["x-request-id"] == "Ab-1.2_3"
    made = {
        unstable.ask(**{"X-Request-Id": bad})[1]["x-request-id"]
        for bad in ("", "a b", "x" * 129, "a\tb", "<script>")
    }
    assert len(made) == 5
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)


@pytest.mark.parametrize("kind", ["failure", "truncated", "garbage", "drip"])
def test_the_request_id_comes_back_on_spoiled_answers_too(unstable: Unstable, kind: str):
    unstable.set(**{f"{kind}_rate": 1, "drip_seconds": 0.001})
    request = b"GET /data HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc\r\n\r\n"
    with unstable.send(request) as connection:
        assert b"\r\nX-Request-Id: abc\r\n" in connection.recv(65536)


def test_scrapes_are_not_counted_as_requests_and_failures_are(unstable: Unstable):
    def totals() -> list[float]:
        return [unstable.metric(name) for name in ("requests_total", "requests_failed")]

    before = totals()
    assert totals() == before
    unstable.ask("/data?fail=true")
    unstable.ask("/data?fail=maybe")
    assert totals() == [before[0] + 2, before[1] + 1]


def test_metrics_have_every_name_from_the_start():
    with Unstable(*CALM) as unstable:
        _, headers, text = unstable.ask("/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        "requests_total 0.0",
        "requests_failed 0.0",
        "failures_total 0.0",
        "delays_total 0.0",
        'faults_total{kind="drip"} 0.0',
        'fault_rate{kind="hang"} 0.0',
        'http_requests_total{method="GET",route="/data",status="200"} 0.0',
        'http_request_duration_seconds_count{method="GET",route="/data"} 0.0',
        "http_requests_in_flight 1.0",
    ):
        assert line in text.decode().splitlines()
    for name in ("uptime_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"):
        assert f"\n{name} " in text.decode()


@pytest.mark.parametrize(
    ("path", "method", "status", "words"),
    [
        ("/healthz", "GET", 200, '{"status": "ok"}'),
        ("/readyz", "GET", 200, '{"status": "ready"}'),
        ("/nothing", "GET", 404, "there is /data, /faults"),
        ("/data", "POST", 405, "it takes GET"),
        ("/faults", "POST", 405, "it takes DELETE, GET, HEAD, PUT"),
    ],
)
def test_other_paths_and_methods_are_answered_plainly(unstable, path, method, status, words):
    unstable.set(failure_rate=1)  # only /data ever fails on purpose
    answer = unstable.ask(path, method)
    assert answer[0] == status
    assert words in answer[2].decode()


def test_malformed_requests_are_a_400_and_the_service_goes_on(unstable: Unstable):
    for junk in (b"GARBAGE\r\n\r\n", b"GET /data HTTP/1.1\r\nA b: c\r\n\r\n", b"\x16\x03\x01\r\n"):
        with unstable.send(junk) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.0 400 ")
    assert unstable.ask()[0] == 200


def test_the_log_has_one_line_a_request_with_the_fault_and_its_number(tmp_path: Path):
    log = tmp_path / "logs" / "access.jsonl"
    with Unstable("--failure-rate", "1", "--access-log", str(log)) as unstable:
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        told = {"X-Request-Id": "one", "traceparent": traceparent}
        unstable.ask("/data?delay=false", **told)
        unstable.ask("/data?fail=false&delay=false")
        unstable.ask("/healthz")
        unstable.set(hang_rate=1, failure_rate=0)
        with unstable.send():
            assert eventually(lambda: unstable.metric("http_requests_in_flight") == 2)
        assert eventually(lambda: '"status":499' in log.read_text())
        unstable.set(hang_rate=0, reset_rate=1)
        with unstable.send() as connection, pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert eventually(lambda: '"status":444' in log.read_text())
        pid = unstable.process.pid
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first = next(line for line in lines if line["request_id"] == "one")
    assert first.pop("duration_ms") >= 0
    assert time.strptime(first.pop("time")[:19], "%Y-%m-%dT%H:%M:%S")
    assert len(first.pop("span_id")) == 16
    assert first == {
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "parent_id": "00f067aa0ba902b7",
        "service": "unstable",
        "worker": pid,
        "request_id": "one",
        "method": "GET",
        "path": "/data?delay=false",
        "status": 500,
        "fault": "failure",
        "decision": 1,
    }
    faults = [
        (line["fault"], line["status"], line["decision"]) for line in lines if "fault" in line
    ]
    assert faults == [
        ("failure", 500, 1),
        ("none", 200, 2),
        ("hang", 499, 3),
        ("reset", 444, 4),
    ]
