"""`make panels`: starts a stack, breaks it, prints a verdict per panel. Composition."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.dashboard_queries import PanelQuery, queries, query_range
from tests.running_stack import PROJECT, RunningStack

from .faults import Fault, faults
from .moves import Expected, Look, last_values, moved, total

SCRAPE_SECONDS = 5.0
# A rate looks back 20 s, and the last scrape may be 5 s old.
SETTLE_SECONDS = 32.0
PAUSE_SECONDS = 0.05  # between the requests of each of two clients
BOARDS = sorted((PROJECT / "monitoring" / "grafana" / "dashboards").glob("*.json"))


class Panels:
    """Every panel of every dashboard, as it is drawn now."""

    def __init__(self, prometheus_url: str) -> None:
        self._url = prometheus_url
        self._queries: dict[tuple[str, str], list[PanelQuery]] = {}
        for file in BOARDS:
            board = json.loads(file.read_text())
            for query in queries(board):
                self._queries.setdefault((board["title"], query.panel), []).append(query)

    def look(self) -> dict[tuple[str, str, str], Look]:
        """By dashboard, panel and name of the query."""
        since = time.time() - 2 * SCRAPE_SECONDS
        return {
            (*panel, chr(ord("A") + number)): last_values(
                query_range(self._url, query.expr, SCRAPE_SECONDS, 60), since
            )
            for panel, asked in self._queries.items()
            for number, query in enumerate(asked)
        }


@contextmanager
def traffic(stack: RunningStack) -> Iterator[None]:
    done = threading.Event()

    def ask() -> None:
        while not done.wait(PAUSE_SECONDS):
            stack.gets(["/"])

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        done.set()
        for client in clients:
            client.join()


def verdicts(
    expected: Iterable[Expected],
    before: dict[tuple[str, str, str], Look],
    after: dict[tuple[str, str, str], Look],
) -> int:
    """Print one line each; how many did not do what they should."""
    wrong = 0
    for one in expected:
        key = (one.board, one.panel, one.ref)
        old, new = (total(look[key], one.labels) for look in (before, after))
        well = moved(old, new, one.direction)
        wrong += not well
        mark = "moves " if well else "STANDS"
        click.echo(f"  {mark}  {one!s:<66} {old:10.2f} -> {new:10.2f}  ({one.direction})")
    return wrong


def run(stack: RunningStack, fault: Fault, panels: Panels) -> int:
    """How many panels did not do what they should."""
    time.sleep(SETTLE_SECONDS)
    before = panels.look()
    click.echo(f"{fault.program} is stopped:")
    stack.ctl("stop", fault.program)
    time.sleep(SETTLE_SECONDS)
    during = panels.look()
    wrong = verdicts(fault.expected, before, during)
    stack.ctl("start", fault.program)
    if fault.afterwards:
        time.sleep(SETTLE_SECONDS / 2)
        click.echo(f"{fault.program} runs again:")
        wrong += verdicts(fault.afterwards, during, panels.look())
    return wrong


@click.command(help=__doc__)
def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = RunningStack(Path(folder), UNSTABLE_SEED="7")
        try:
            stack.monitoring("up")
            panels = Panels(f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}")
            app1 = f"127.0.0.1:{stack.ports['APP1_PORT']}"
            with traffic(stack):
                wrong = sum(run(stack, fault, panels) for fault in faults(app1))
        finally:
            stack.monitoring("down", check=False)
    click.echo(f"{wrong} panels stand still." if wrong else "Every panel moves.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(prog_name="python -m tests.panels")
