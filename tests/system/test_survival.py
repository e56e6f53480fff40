"""The stack keeps answering while its parts are stopped and killed."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil

from tests.running_stack import Answer, RunningStack, eventually
from tests.system.conftest import set_faults

FALLBACK = {"message": "Fallback response"}


def failures(answers: list[Answer | OSError]) -> list[Answer | OSError]:
    return [answer for answer in answers if isinstance(answer, OSError) or answer.status != 200]


def test_without_the_unstable_service_every_answer_is_200_with_the_fallback(calm: RunningStack):
    calm.ctl("stop", "unstable")
    time.sleep(1)
    answers = calm.gets(["/"] * 100)
    assert failures(answers) == []
    for answer in answers:
        assert isinstance(answer, Answer)
        assert answer.json["data"] == FALLBACK
        assert answer.json["source"] == answer.headers["X-Source"] == "fallback"
    calm.ctl("start", "unstable")
    eventually(lambda: calm.get("/healthz", "UNSTABLE_PORT").status == 200, "it listens")
    set_faults(calm, failure_rate=0.0, delay_rate=0.0)
    took = eventually(lambda: calm.get("/").json["source"] == "live", "real data again")
    assert took < 2.0


def test_stopping_an_instance_under_load_fails_no_request(calm: RunningStack):
    stopping = threading.Timer(0.2, calm.ctl, ("stop", "app1"))
    stopping.start()
    answers = calm.gets(["/"] * 1000)
    stopping.join()
    assert failures(answers) == []
    assert "STOPPED" in calm.ctl("status", "app1", check=False)


def test_restarting_an_instance_under_load_fails_no_request(calm: RunningStack):
    restarting = threading.Thread(target=calm.ctl, args=("restart", "app2"))
    restarting.start()
    answers: list[Answer | OSError] = []
    while restarting.is_alive():
        answers += calm.gets(["/"] * 100)
    assert failures(answers) == []
    assert len(answers) > 100


def test_a_killed_worker_is_back_within_a_second_and_no_request_fails(calm: RunningStack):
    parent = psutil.Process(calm.pid("app1"))
    before = {child.pid for child in parent.children()}
    killing = threading.Timer(0.1, os.kill, (min(before), signal.SIGKILL))
    killing.start()
    answers = calm.gets(["/"] * 300)
    assert failures(answers) == []
    took = eventually(
        lambda: len({child.pid for child in parent.children()} - {min(before)}) == len(before),
        "as many workers as before",
        seconds=1.0,
    )
    assert took < 1.0


def test_an_acknowledged_record_survives_the_kill_of_a_shard(calm: RunningStack):
    ids = [answer.json["id"] for answer in calm.gets(["/"] * 100) if isinstance(answer, Answer)]
    pid = calm.pid("redis1")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: calm.pid("redis1") not in (0, pid), "redis1 runs again")
    eventually(
        lambda: all(isinstance(a, Answer) and a.status == 200 for a in calm.gets(
            [f"/data/{record}" for record in ids if record is not None]
        )),
        "every record is read back",
    )  # fmt: skip


def test_a_thousand_records_are_read_back_and_both_shards_hold_their_share(calm: RunningStack):
    def keys() -> list[float]:
        text = calm.get("/metrics").body
        return [calm.metric(text, "redis_keys_total", f'{{shard="redis{n}"}}') for n in (1, 2)]

    before = keys()
    answers = calm.gets(["/"] * 1000)
    assert failures(answers) == []
    ids = [answer.json["id"] for answer in answers if isinstance(answer, Answer)]
    assert len(set(ids)) == 1000
    assert None not in ids
    read = calm.gets([f"/data/{record}" for record in ids])
    assert failures(read) == []
    assert [answer.json["id"] for answer in read if isinstance(answer, Answer)] == ids
    added = [after - was for after, was in zip(keys(), before, strict=True)]
    assert sum(added) == 1000
    assert all(400 <= count <= 600 for count in added)
