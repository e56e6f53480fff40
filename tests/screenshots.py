"""Takes the pictures of the live page: `.venv/bin/python -m tests.screenshots`.

A stack of its own on free ports in four states (idle, under load, unstable stopped, a shard
stopped), each as a wide page in the light and on a phone in the dark. Look at them before you
commit them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.browser import Browser
from tests.running_stack import PROJECT, RunningStack

FOLDER = PROJECT / "monitoring" / "console" / "screenshots"
CLIENTS = 4
FILL_SECONDS = 20.0  # until the charts show the state
WIDE, PHONE = (1200, 1000), (390, 1100)


@contextmanager
def load(stack: RunningStack) -> Iterator[None]:
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            stack.gets(["/"] * 10)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        done.set()
        for client in clients:
            client.join()


def take(browser: Browser, into: Path, state: str, verdict: str = "") -> None:
    """Both pictures, when the page says what it should and its charts have had their time."""
    browser.wait(lambda: verdict in browser.text("#verdict"), f"{state}: {verdict}", within=60)
    time.sleep(FILL_SECONDS)
    for suffix, (width, height), phone in (("", WIDE, False), ("-phone", PHONE, True)):
        browser.size(width, height, phone=phone, dark=phone)
        time.sleep(2.5)  # the charts are drawn anew, once a second
        file = into / f"{state}{suffix}.png"
        browser.screenshot(file)
        click.echo(f"{file}: {browser.text('#verdict').strip()}")
    browser.size(*WIDE)


@click.command(help=__doc__)
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=FOLDER)
def main(into: Path) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stack = RunningStack(Path(folder), UNSTABLE_SEED="7")
        try:
            stack.monitoring("up")
            with Browser(program, Path(folder) / "browser") as browser:
                browser.size(*WIDE)
                browser.open(f"http://127.0.0.1:{stack.ports['CONSOLE_PORT']}/")
                browser.wait(lambda: "live" in browser.text("#connection"), "the page is live")
                take(browser, into, "idle")
                with load(stack):
                    take(browser, into, "load")
                    stack.ctl("stop", "unstable")
                    take(browser, into, "unstable-stopped", "unstable is stopped")
                    stack.ctl("start", "unstable")
                    time.sleep(FILL_SECONDS)
                    stack.ctl("stop", "redis1")
                    take(browser, into, "shard-stopped", "redis1 is stopped")
        finally:
            stack.monitoring("down", check=False)


if __name__ == "__main__":
    main(prog_name="python -m tests.screenshots")
