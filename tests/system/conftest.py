"""One stack for all system tests: each leaves every program running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running_stack import RunningStack, eventually


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    stack = RunningStack(tmp_path_factory.mktemp("system"), UNSTABLE_SEED="7")
    try:
        stack.monitoring("up")
        yield stack
    finally:
        stack.monitoring("down")


@pytest.fixture
def stack(running: RunningStack) -> Iterator[RunningStack]:
    """The stack with stock faults, everything up; put right again afterwards."""
    yield running
    put_right(running)


@pytest.fixture
def calm(stack: RunningStack) -> RunningStack:
    """The stack with an external service that does not fail."""
    set_faults(stack, failure_rate=0.0, delay_rate=0.0)
    return stack


def set_faults(stack: RunningStack, **rates: float) -> None:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["UNSTABLE_PORT"], timeout=5)
    connection.request("PUT", "/faults", json.dumps(rates), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()


def put_right(stack: RunningStack) -> None:
    for program in ("redis1", "redis2", "unstable", "app1", "app2", "balancer", "console"):
        if "RUNNING" not in stack.ctl("status", program, check=False):
            stack.ctl("start", program)
    eventually(lambda: stack.get("/readyz", "APP1_PORT").status == 200, "app1 is ready")
    eventually(lambda: stack.get("/readyz", "APP2_PORT").status == 200, "app2 is ready")
    eventually(_all_backends_healthy(stack), "the balancer sees both")
    stack.get("/faults", "UNSTABLE_PORT", method="DELETE")


def _all_backends_healthy(stack: RunningStack):
    def healthy() -> bool:
        backends = stack.get("/backends", "BALANCER_ADMIN_PORT").json["backends"]
        return all(backend["healthy"] for backend in backends)

    return healthy
