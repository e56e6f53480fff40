"""Our app, with its default policies, metrics and access log."""

from __future__ import annotations

import sys

from ..asking import answers
from ..bench import Bench, free_port
from ..cores import Cpus
from . import Contender, uncounted

NAME = "ours"


def start(
    bench: Bench,
    upstream: str,
    store: str,
    *,
    workers: int = 1,
    cpus: Cpus | None = None,
    counted: bool = True,
) -> Contender:
    """Args:
    upstream, store: URLs, as on its command line.
    cpus: where it runs, if not on those of what is measured.
    counted: false for the same program without its metrics.
    """
    port = free_port()
    folder = bench.folder / f"app-{port}"
    folder.mkdir()
    log = folder / "access.jsonl"
    module = ("app",) if counted else (uncounted.MODULE, "app")
    command = [
        sys.executable, "-m", *module, "--name", "app1", "--listen", f"127.0.0.1:{port}",
        "--workers", str(workers), "--upstream", upstream, "--store", store,
        "--ids-file", folder / "ids", "--metrics-dir", folder / "metrics",
        "--upstream-file", folder / "upstream",
        "--run-dir", folder, "--access-log", log,
    ]  # fmt: skip
    where = bench.cores.measured if cpus is None else cpus
    program = bench.start(f"app-{port}", command, cpus=where)
    program.wait_until(answers(port, "/readyz"))
    return Contender(NAME if counted else uncounted.NAME, port, (program.tree,), log)
