"""The status page tells what is so, also while parts are down."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.browser import Browser
from tests.running_stack import RunningStack, eventually
from tests.system.conftest import put_right


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium is not installed: apt-get install chromium"
    with Browser(program, tmp_path_factory.mktemp("browser")) as one:
        one.size(1200, 900)
        yield one


@pytest.fixture(scope="module")
def broken(running: RunningStack) -> Iterator[RunningStack]:
    """For tests whose last button puts everything right."""
    yield running
    put_right(running)


@pytest.fixture
def page(broken: RunningStack, browser: Browser) -> Browser:
    """The page, live, of a stack that is well."""
    browser.open(f"http://127.0.0.1:{broken.ports['CONSOLE_PORT']}/")
    browser.wait(lambda: "live" in browser.text("#connection"), "the page is live")
    browser.wait(lambda: "app2" in browser.text("#diagram"), "the diagram is there")
    return browser


def test_buttons_diagram_charts_and_supervisorctl_agree(broken: RunningStack, page: Browser):
    page.click("[data-fault=stop-unstable]")
    page.wait(lambda: "unstable is stopped" in page.text("#verdict"), "the verdict names it")
    assert "STOPPED" in broken.ctl("status", "unstable", check=False)
    assert "stopped" in page.text("[data-node=unstable]")
    assert page.look("document.querySelector('[data-edge=app1-unstable]').matches('.bad')")
    assert "supervisorctl stop unstable" in page.text("#answer")
    assert "stop unstable" in page.text("#events")

    broken.gets(["/"] * 10)
    page.wait(
        lambda: page.look("document.querySelectorAll('#chart-kinds .scatterlayer .trace').length"),
        "the chart of answers is drawn",
    )
    page.wait(
        lambda: page.look("Math.max(0, ...points.map((p) => p.kinds.fallback))"),
        "the fallbacks are in its data",
    )
    assert page.look("document.querySelectorAll('#chart-kinds .shapelayer path').length") > 0

    page.click("[data-fault=put-right]")
    page.wait(lambda: "ready" in page.text("[data-node=unstable]"), "it runs again")
    status = broken.ctl("status", "unstable")
    assert "RUNNING" in status or "STARTING" in status, status


def test_a_worker_killed_and_a_shard_frozen_by_buttons_are_named(
    broken: RunningStack, page: Browser
):
    pid = min(worker["pid"] for worker in broken.get("/workers", "APP2_PORT").json["workers"])
    page.wait(lambda: page.text(f"[data-worker='{pid}']"), "its worker is in the table")
    page.click("[data-fault=kill-worker-app2]")
    page.click("[data-fault=freeze-redis1]")
    page.wait(lambda: "app2 lost a worker" in page.text("#alerts"), "the alerts name app2")
    page.wait(lambda: "redis1 does not answer" in page.text("#verdict"), "the verdict redis1")
    assert not page.text(f"[data-worker='{pid}']")
    page.click("[data-fault=put-right]")
    page.wait(lambda: "ready" in page.text("[data-node=redis1]"), "redis1 answers again")


def test_the_page_is_live_again_after_the_console_was_started_anew(
    broken: RunningStack, page: Browser
):
    start = page.look("document.querySelector('meta[name=console-start]').content")
    broken.ctl("restart", "console")
    page.wait(
        lambda: (
            page.look("document.querySelector('meta[name=console-start]')?.content")
            not in (start, None)
            and "● live" in page.text("#connection")
        ),
        "the page has reloaded itself and is live",
    )
    page.click("[data-fault=unstable-hang]")
    page.wait(lambda: "is set to hang" in page.text("#verdict"), "its buttons work again")
    page.click("[data-fault=put-right]")
    page.wait(lambda: "● done" in page.text("#answer"), "everything is put right")


def test_a_phone_in_the_dark_scrolls_down_only_and_nothing_is_refused_but_plotlys_map_style(
    page: Browser,
):
    page.size(390, 844, phone=True, dark=True)
    try:
        width = "document.documentElement.scrollWidth"
        page.wait(lambda: page.look(width) <= 390, "everything fits")
        assert page.look("getComputedStyle(document.querySelector('.narrow')).display") == "block"
        assert page.look("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 29)"
    finally:
        page.size(1200, 900)
    refused = {line for line in page.console if "net::ERR" not in line}
    assert all(line.startswith("Applying inline style violates") for line in refused), refused


def test_a_burst_by_the_button_is_seen_in_the_numbers_and_there_is_one_at_a_time(
    broken: RunningStack, page: Browser
):
    page.click("[data-fault=burst]")
    page.wait(lambda: "● done: seq" in page.text("#answer"), "it is on its way")
    page.click("[data-fault=burst]")
    page.wait(lambda: "a burst is on its way already" in page.text("#answer"), "another is not")
    rate = "Number(document.querySelector('#numbers dd').firstChild.data)"  # NaN: not known yet
    page.wait(lambda: (page.look(rate) or 0) >= 50, "requests/s rise")
    broken.ctl("restart", "console")  # which ends it
