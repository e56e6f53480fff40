"""The status page tells what is so, also while parts are down."""

from __future__ import annotations

from tests.running_stack import RunningStack, eventually


def verdict(stack: RunningStack) -> dict[str, str]:
    programs = stack.get("/api/state", "CONSOLE_PORT").json["programs"]
    return {program["name"]: program["condition"] for program in programs}


def test_the_page_and_the_api_agree_with_supervisorctl(stack: RunningStack):
    page = stack.get("/", "CONSOLE_PORT")
    assert page.status == 200
    assert "default-src" in page.headers["Content-Security-Policy"]
    eventually(lambda: set(verdict(stack).values()) <= {"ready", "off", "absent"}, "all ready")
    conditions = verdict(stack)
    for name in ("redis1", "redis2", "unstable", "app1", "app2", "balancer", "prometheus"):
        assert conditions[name] == "ready", name
        assert name.encode() in page.body


def test_a_part_that_is_stopped_is_named(stack: RunningStack):
    stack.ctl("stop", "unstable")
    eventually(lambda: verdict(stack)["unstable"] != "ready", "unstable is not ready")
    assert b"unstable" in stack.get("/", "CONSOLE_PORT").body
    assert stack.monitoring("status", check=False).returncode == 3


def test_a_page_on_another_host_name_is_refused(stack: RunningStack):
    assert stack.get("/", "CONSOLE_PORT", Host="evil.example").status in (400, 403, 421)
