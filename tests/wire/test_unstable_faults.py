"""Every fault as a client meets it: a real process, real sockets."""

import json
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.wire.unstable_process import (
    CALM,
    GET_DATA,
    Unstable,
    eventually,
    is_silent,
    read_to_end,
)

CLOSING = b"GET /data HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Unstable]:
    with Unstable(*CALM) as process:
        yield process


@pytest.fixture
def unstable(running: Unstable) -> Iterator[Unstable]:
    """One process for all tests here, put back after each."""
    yield running
    assert running.ask("/faults", "DELETE")[0] == 200


def head_and_body(raw: bytes) -> tuple[str, bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return head.decode().lower(), body


def test_without_faults_the_answer_is_the_one_the_original_gives(unstable: Unstable):
    before = int(time.time() * 1000)
    status, headers, body = unstable.ask()
    answer = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert answer == {"timestamp": answer["timestamp"], "message": "External service OK"}
    assert before <= answer["timestamp"] <= int(time.time() * 1000)


def test_failure_is_a_500_in_json(unstable: Unstable):
    unstable.set(failure_rate=1)
    status, headers, body = unstable.ask()
    assert (status, headers["content-type"].partition(";")[0]) == (500, "application/json")
    assert json.loads(body) == {"error": "External service failed"}


def test_failure_can_be_another_status(unstable: Unstable):
    unstable.set(failure_rate=1, failure_status=503)
    assert unstable.ask()[0] == 503


def test_reset_is_a_tcp_reset_without_a_byte_of_answer(unstable: Unstable):
    unstable.set(reset_rate=1)
    with unstable.send() as connection, pytest.raises(ConnectionResetError):
        assert connection.recv(1) == b"never reached"


def test_truncated_promises_more_than_it_sends_and_ends_without_a_reset(unstable: Unstable):
    unstable.set(truncated_rate=1)
    with unstable.send() as connection:
        head, body = head_and_body(b"".join(read_to_end(connection)))
    promised = int(head.partition("content-length: ")[2].split("\r\n")[0])
    assert head.startswith("http/1.1 200")
    assert 0 < len(body) < promised
    assert body.startswith(b'{"timestamp": ')


def test_garbage_is_a_complete_200_that_says_json_and_is_none(unstable: Unstable):
    unstable.set(garbage_rate=1)
    status, headers, body = unstable.ask()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert len(body) == int(headers["content-length"])
    with pytest.raises(ValueError, match="codec can't decode"):
        json.loads(body)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(body.decode("latin-1"))


def test_hang_says_nothing_for_as_long_as_the_client_waits(unstable: Unstable):
    unstable.set(hang_rate=1)
    with unstable.send() as connection:
        assert is_silent(connection, 1.5)


def test_delay_gives_the_good_answer_late_with_the_time_of_the_answer(unstable: Unstable):
    unstable.set(delay_rate=1, delay_seconds=1.5)
    started = time.time()
    status, _, body = unstable.ask()
    assert status == 200
    assert time.time() - started >= 1.49  # timers count whole milliseconds
    assert json.loads(body)["timestamp"] >= (started + 1.49) * 1000


def test_drip_sends_the_good_answer_byte_by_byte(unstable: Unstable):
    unstable.set(drip_rate=1, drip_seconds=0.02)
    started = time.monotonic()
    with unstable.send(CLOSING) as connection:
        pieces = read_to_end(connection)
    _, body = head_and_body(b"".join(pieces))
    assert json.loads(body)["message"] == "External service OK"
    assert time.monotonic() - started >= 0.02 * len(body)
    assert len(pieces) > len(body) / 4  # a slow reader may find several bytes at once


@pytest.mark.parametrize(
    ("query", "failure_rate", "delay_rate", "status", "late"),
    [
        ("fail=true", 0, 0, 500, False),
        ("fail=false", 1, 0, 200, False),
        ("delay=true", 0, 0, 200, True),
        ("delay=false", 0, 1, 200, False),
        ("fail=false&delay=false", 1, 1, 200, False),
        ("fail=false&delay=true", 1, 0, 200, True),
        ("fail=true&delay=true", 0, 0, 500, False),
        ("fail=false", 0, 1, 200, True),
        ("delay=true", 1, 0, 500, False),
        ("delay=false", 1, 1, 500, False),
    ],
)
def test_each_parameter_overrides_its_own_decision_only(
    unstable: Unstable, query, failure_rate, delay_rate, status, late
):
    unstable.set(failure_rate=failure_rate, delay_rate=delay_rate, delay_seconds=0.5)
    before = unstable.metric("delays_total")
    assert unstable.ask(f"/data?{query}")[0] == status
    assert (unstable.metric("delays_total") - before == 1) is late


@pytest.mark.parametrize("kind", ["hang", "reset", "truncated", "garbage"])
def test_forcing_a_clean_answer_works_against_every_fault(unstable: Unstable, kind: str):
    unstable.set(**{f"{kind}_rate": 1, "drip_rate": 1})
    status, _, body = unstable.ask("/data?fail=false&delay=false")
    assert (status, json.loads(body)["message"]) == (200, "External service OK")


@pytest.mark.parametrize("query", ["fail=1", "delay=yes", "fail=", "fail=True", "fail=true&fail=x"])
def test_any_other_value_is_a_400_that_says_what_is_allowed(unstable: Unstable, query: str):
    status, _, body = unstable.ask(f"/data?{query}")
    name = query.partition("=")[0]
    assert status == 400
    assert json.loads(body)["error"].startswith(f"{name} ")


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("failure", "failures_total"),
        ("reset", "failures_total"),
        ("truncated", "failures_total"),
        ("garbage", "failures_total"),
        ("delay", "delays_total"),
        ("drip", "delays_total"),
    ],
)
def test_every_fault_is_counted_under_its_kind_and_its_group(unstable: Unstable, kind, group):
    unstable.set(**{f"{kind}_rate": 1, "delay_seconds": 0, "drip_seconds": 0.001})
    counted = unstable.metric("faults_total", kind=kind), unstable.metric(group)
    with unstable.send(CLOSING) as connection:
        try:
            read_to_end(connection)
        except ConnectionResetError:
            assert kind == "reset"
    after = unstable.metric("faults_total", kind=kind), unstable.metric(group)
    assert after == (counted[0] + 1, counted[1] + 1)
    assert unstable.metric("fault_rate", kind=kind) == 1


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ({"hang_rate": 1}, 1),
        ({"hang_rate": 1}, 20),
        ({"hang_rate": 1}, 100),  # so many that the server stops reading from the connection
        ({"delay_rate": 1, "delay_seconds": 3600}, 1),
        ({"delay_rate": 1, "delay_seconds": 3600}, 100),
        ({"drip_rate": 1, "drip_seconds": 3600}, 1),
    ],
)
def test_a_client_that_gives_up_leaves_nothing_behind(unstable: Unstable, fault, requests: int):
    def leftovers() -> tuple[float, int]:
        return unstable.metric("http_requests_in_flight"), len(_connections(unstable))

    unstable.set(**fault)
    assert eventually(lambda: leftovers() == (1, 0))  # the scrape itself is in flight
    gone = unstable.metric("http_requests_total", status="499")
    connections = [unstable.send(GET_DATA * requests) for _ in range(5)]
    assert eventually(lambda: leftovers() == (6, 5))
    for connection in connections:
        connection.close()
    assert eventually(lambda: leftovers() == (1, 0))
    assert unstable.metric("http_requests_total", status="499") == gone + 5


def _connections(unstable: Unstable) -> list[object]:
    """Those of the process that are not yet closed on its side, except the caller's own scrape."""
    return [
        connection
        for connection in psutil.Process(unstable.process.pid).net_connections("tcp")
        if connection.status in ("ESTABLISHED", "CLOSE_WAIT")
    ]


def test_a_request_body_that_stalls_leaves_nothing_behind_either(unstable: Unstable):
    head = b"GET /data HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
    connection = unstable.send(head + b"x" * 10)
    assert eventually(lambda: unstable.metric("http_requests_in_flight") == 2)
    connection.close()
    assert eventually(lambda: unstable.metric("http_requests_in_flight") == 1)
