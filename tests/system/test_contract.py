"""What the user already knows (design: the table of curls) works to the letter."""

from __future__ import annotations

import os
import time

from tests.running_stack import RunningStack, eventually

REAL = "External service OK"
FALLBACK = {"message": "Fallback response"}


def test_the_root_answers_with_instance_id_and_real_data(calm: RunningStack):
    answer = calm.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json
    assert isinstance(body["instance"], int)
    assert isinstance(body["id"], int)
    assert 0 < body["id"] < 2**53
    assert body["data"]["message"] == REAL
    assert abs(body["data"]["timestamp"] / 1000 - time.time()) < 60
    assert body["stored"] == "replicated"
    assert body["source"] == "live"


def test_who_answers_is_batch_work_that_interrupts_nobody_who_computes(calm: RunningStack):
    for program in ("redis1", "unstable", "app1", "balancer"):
        pid = int(calm.ctl("pid", program).strip())
        assert os.sched_getscheduler(pid) == os.SCHED_BATCH, program
    worker = calm.get("/").json["instance"]
    assert os.sched_getscheduler(worker) == os.SCHED_BATCH


def test_a_record_is_read_back_by_its_id(calm: RunningStack):
    body = calm.get("/").json
    answer = calm.get(f"/data/{body['id']}")
    assert answer.status == 200
    assert answer.json["id"] == body["id"]
    assert answer.json["data"] == body["data"]


def test_an_unknown_id_is_404_and_what_is_no_id_is_400(calm: RunningStack):
    unknown = calm.get("/data/1234")
    assert (unknown.status, unknown.json) == (404, {"error": "Data not found"})
    for no_id in ("abc", "-1", "1.5", "9" * 30, "0x10", "%20"):
        assert calm.get(f"/data/{no_id}").status == 400, no_id


def test_a_record_is_read_from_its_other_shard_and_without_both_it_is_503_and_never_404(
    calm: RunningStack,
):
    ids = [calm.get("/").json["id"] for _ in range(20)]
    calm.ctl("stop", "redis1")
    assert {calm.get(f"/data/{record}").status for record in ids} == {200}
    calm.ctl("stop", "redis2")
    for answer in [calm.get(f"/data/{record}") for record in ids]:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
    calm.ctl("start", "redis1", "redis2")
    eventually(
        lambda: all(calm.get(f"/data/{record}").status == 200 for record in ids),
        "every record can be read again",
    )


def test_a_write_says_how_many_copies_there_are_and_without_any_it_has_no_id(calm: RunningStack):
    calm.ctl("stop", "redis2")
    one_copy = [calm.get("/").json for _ in range(20)]
    assert {body["data"]["message"] for body in one_copy} == {REAL}
    assert {body["stored"] for body in one_copy} == {"degraded"}
    calm.ctl("stop", "redis1")
    none = [calm.get("/").json for _ in range(20)]
    assert {(body["stored"], body["id"]) for body in none} == {(False, None)}
    calm.ctl("start", "redis1", "redis2")
    eventually(
        lambda: all(calm.get(f"/data/{body['id']}").status == 200 for body in one_copy),
        "every acknowledged record can be read",
    )
    eventually(lambda: calm.get("/").json["stored"] == "replicated", "there are two copies again")


def test_metrics_through_the_front_door_are_the_fleets_and_never_go_backwards(calm: RunningStack):
    seen = 0.0
    for _ in range(20):
        calm.get("/")
        text = calm.get("/metrics").body
        total = calm.metric(text, "requests_total")
        assert total >= seen
        seen = total
        for name in ("uptime_seconds", "requests_failed"):
            calm.metric(text, name)
        assert b"redis_keys_total{" in text
        assert b'http_requests_total{method="GET",route="/",status="200"}' in text
    own = sum(
        calm.metric(calm.get("/metrics", port).body, "requests_total")
        for port in ("APP1_PORT", "APP2_PORT")
    )
    assert own >= seen


def test_an_instance_counts_every_request_over_all_its_workers(calm: RunningStack):
    labels = '{method="GET",route="/",status="200"}'
    before = calm.metric(calm.get("/metrics", "APP1_PORT").body, "http_requests_total", labels)
    for _ in range(50):
        assert calm.get("/", "APP1_PORT").status == 200
    after = calm.metric(calm.get("/metrics", "APP1_PORT").body, "http_requests_total", labels)
    assert after - before == 50


def test_the_unstable_service_fails_and_delays_as_it_is_told(stack: RunningStack):
    assert stack.get("/data?fail=true", "UNSTABLE_PORT").status == 500
    clean = stack.get("/data?fail=false&delay=false", "UNSTABLE_PORT")
    assert (clean.status, clean.json["message"]) == (200, REAL)
    began = time.monotonic()
    assert stack.get("/data?fail=false&delay=true", "UNSTABLE_PORT").status == 200
    assert 2.5 < time.monotonic() - began < 10
    text = stack.get("/metrics", "UNSTABLE_PORT").body
    assert stack.metric(text, "failures_total") >= 1
    assert stack.metric(text, "delays_total") >= 1


def test_everything_answers_200_with_the_stock_faults(stack: RunningStack):
    answers = stack.gets(["/"] * 200, clients=16)
    assert [a for a in answers if isinstance(a, OSError) or a.status != 200] == []
    messages = [answer.json["data"]["message"] for answer in answers]  # type: ignore[union-attr]
    assert set(messages) <= {REAL, FALLBACK["message"]}
    assert messages.count(REAL) > 150  # 49 % of attempts succeed: 93 % of four


def test_every_program_has_metrics(stack: RunningStack):
    for port in ("BALANCER_ADMIN_PORT", "CONSOLE_PORT", "APP1_PORT", "APP2_PORT", "UNSTABLE_PORT"):
        text = stack.get("/metrics", port).body
        for name in (
            "uptime_seconds",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
        ):
            assert stack.metric(text, name) > 0, (port, name)
