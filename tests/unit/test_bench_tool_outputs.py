"""Outputs as the tools printed them, on a terminal of ours."""

from __future__ import annotations

import pytest

from tests.bench.tool_outputs import redis_benchmark, version, wrk_run

WRK = """Running 1s test @ http://127.0.0.1:7001/100
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    64.67us  106.71us   2.83ms   98.46%
    Req/Sec   102.98k    14.33k  116.82k    80.00%
  102145 requests in 1.00s, 24.26MB read
Requests/sec: 102112.32
Transfer/sec:     24.25MB

{"requests": 102145, "microseconds": 1000320, "bytes": 25434105, "connect": 0, "read": 0, \
"write": 0, "status": 0, "timeout": 0, "marked": 0}
"""
WRK_OF_ERRORS = """Running 1s test @ http://127.0.0.1:7001/nope
  1 threads and 8 connections
  53433 requests in 1.00s, 15.69MB read
  Non-2xx or 3xx responses: 53433
Requests/sec:  53283.12
Transfer/sec:     15.65MB

{"requests": 53433, "microseconds": 1002813, "bytes": 16457364, "connect": 0, "read": 0, \
"write": 0, "status": 53433, "timeout": 0, "marked": 0}
"""
REDIS_BENCHMARK = [
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",'
    '"p99_latency_ms","max_latency_ms"',
    '"SET","51282.05","0.113","0.032","0.079","0.127","2.279","2.711"',
    '"GET","66666.67","0.079","0.016","0.079","0.119","0.135","0.207"',
]


def test_answers_with_an_error_status_are_a_problem():
    assert wrk_run(WRK_OF_ERRORS).problem() == "53433 × status above 399 (of 53433 answers)"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("connect", "not connected"),
        ("read", "reading failed"),
        ("write", "writing failed"),
        ("timeout", "no answer in time"),
    ],
)
def test_one_error_of_a_socket_is_a_problem(field: str, words: str):
    problem = wrk_run(WRK.replace(f'"{field}": 0', f'"{field}": 1')).problem()
    assert problem is not None
    assert problem.startswith(f"1 × {words}")


def test_no_answer_at_all_is_a_problem():
    assert wrk_run(WRK.replace("102145", "0")).problem() == "not one answer"


def test_answers_that_are_too_short_are_a_problem():
    assert wrk_run(WRK).problem(least_bytes=10_000) == "answers of 249 bytes, not 10000"


def test_a_clean_run_has_its_rate():
    run = wrk_run(WRK)
    assert run.problem(least_bytes=100) is None
    assert run.per_second == pytest.approx(102112.32, rel=1e-4)


@pytest.mark.parametrize(
    "output",
    ["", "unable to connect to 127.0.0.1:1 Connection refused\n", '{"requests": 1}\n', "{not json"],
)
def test_what_is_no_summary_of_wrk_is_refused(output: str):
    with pytest.raises(ValueError, match="wrk printed"):
        wrk_run(output)


def test_redis_benchmark_tells_a_rate_for_each_test():
    assert redis_benchmark(REDIS_BENCHMARK) == {"set": 51282.05, "get": 66666.67}


def test_warnings_of_redis_benchmark_are_no_rates():
    lines = ["WARNING: Could not fetch server CONFIG", *REDIS_BENCHMARK]
    assert set(redis_benchmark(lines)) == {"set", "get"}


def test_redis_benchmark_without_a_result_is_refused():
    with pytest.raises(ValueError, match="no result"):
        redis_benchmark(["Could not connect to Redis at 127.0.0.1:1: Connection refused"])


@pytest.mark.parametrize(
    ("output", "number"),
    [
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12-1+deb12u4"),
        (
            "envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE"
            "/BoringSSL",
            "1.40.0",
        ),
        (
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64",
            "7.0.15",
        ),
        ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer", "4.1.0-3+b2"),
        ("redis-benchmark 7.0.15", "7.0.15"),
    ],
)
def test_the_version_of_every_tool_is_found(output: str, number: str):
    assert version(output) == number


def test_a_tool_that_tells_no_version_is_refused():
    with pytest.raises(ValueError, match="no version"):
        version("cannot execute: required file not found")
