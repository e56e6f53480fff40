"""NGINX does the balancer's job on the balancer's port: the same requests, the same answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.running_stack import PROJECT, Answer, RunningStack, eventually

REQUESTS = [
    ("GET", "/"),
    ("HEAD", "/healthz"),
    ("GET", "/data/1234"),
    ("GET", "/data/abc"),
    ("GET", "/nowhere"),
    ("POST", "/"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


@pytest.fixture
def behind_nginx(calm: RunningStack) -> Iterator[RunningStack]:
    calm.ctl("stop", "balancer")
    calm.ctl("start", "nginx")
    eventually(lambda: calm.get("/readyz").status == 200, "nginx passes requests on")
    yield calm
    calm.ctl("stop", "nginx")
    calm.ctl("start", "balancer")


def ask(stack: RunningStack) -> dict[tuple[str, str], Answer]:
    return {(method, path): stack.get(path, method=method) for method, path in REQUESTS}


def shape(answer: Answer) -> tuple[object, ...]:
    """What must be equal: values of counters, ids and times may differ."""
    kept = {"Content-Type", "X-Source", "Retry-After", "Allow"}
    headers = {name: value for name, value in answer.headers.items() if name in kept}
    text = re.sub(rb"\d+(\.\d+(e[+-]\d+)?)?", b"#", answer.body)
    keys = sorted(set(re.findall(rb'"(\w+)":', text))) if text.startswith(b"{") else []
    return answer.status, headers, keys


def test_the_same_requests_get_the_same_answers_through_both(behind_nginx: RunningStack):
    log = behind_nginx.root / "var/log/access-nginx.jsonl"
    through_nginx = ask(behind_nginx)
    assert through_nginx["GET", "/"].json["source"] == "live"
    request_id = behind_nginx.get("/healthz", X_Request_Id="abc-1").headers["X-Request-Id"]
    assert request_id == "abc-1"
    eventually(lambda: '"request_id":"abc-1"' in log.read_text(), "NGINX's access log")
    behind_nginx.ctl("stop", "nginx")
    behind_nginx.ctl("start", "balancer")
    eventually(lambda: behind_nginx.get("/readyz").status == 200, "the balancer is back")
    through_balancer = ask(behind_nginx)
    for request, answer in through_balancer.items():
        assert shape(answer) == shape(through_nginx[request]), request
        assert answer.headers["X-Request-Id"]
        assert through_nginx[request].headers["X-Request-Id"]


def test_nginx_too_hides_a_stopped_instance(behind_nginx: RunningStack):
    behind_nginx.ctl("stop", "app1")
    answers = behind_nginx.gets(["/"] * 100)
    assert [a for a in answers if isinstance(a, OSError) or a.status != 200] == []


def test_metrics_through_nginx_are_the_fleets_too(behind_nginx: RunningStack):
    seen = 0.0
    for _ in range(10):
        behind_nginx.get("/")
        total = behind_nginx.metric(behind_nginx.get("/metrics").body, "requests_total")
        assert total >= seen
        seen = total


def test_its_addresses_are_those_of_supervisord_conf():
    literal = (PROJECT / "balancer" / "nginx.conf").read_text()
    topology = (PROJECT / "supervisord.conf").read_text()
    defaults = dict(re.findall(r"\$\{(\w+_PORT):-(\d+)\}", topology))
    assert re.findall(r"listen 127\.0\.0\.1:(\d+);", literal) == [defaults["BALANCER_PORT"]]
    assert re.findall(r"server 127\.0\.0\.1:(\d+) ", literal) == [
        defaults["APP1_PORT"],
        defaults["APP2_PORT"],
    ]
