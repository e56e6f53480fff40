"""Our balancer, with its default settings: time-outs, limits, metrics, access log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..asking import answers
from ..bench import Bench, free_port
from ..cores import Cpus
from . import Contender, uncounted

NAME = "ours"


def start(
    bench: Bench,
    *backends: int,
    path: str = "/100B",
    cpus: Cpus | None = None,
    options: Sequence[str] = ("--health-path", "off"),
    counted: bool = True,
) -> Contender:
    """In front of these ports; ready when `path` is answered.

    Args:
        cpus: where it runs, if not on those of what is measured.
        counted: false for the same program without its metrics.
    """
    folder, port = bench.folder / f"balancer-{free_port()}", free_port()
    folder.mkdir()
    log = folder / "access.jsonl"
    module = ("balancer",) if counted else (uncounted.MODULE, "balancer")
    command: list[str] = [
        sys.executable, "-m", *module, "--listen", f"127.0.0.1:{port}",
        "--admin", f"127.0.0.1:{free_port()}", "--access-log", str(log),
        "--metrics-file", str(folder / "metrics"), "--run-dir", str(folder), *options,
    ]  # fmt: skip
    for backend in backends:
        command += ["--backend", f"127.0.0.1:{backend}"]
    program = bench.start("balancer", command, cpus=bench.cores.measured if cpus is None else cpus)
    program.wait_until(answers(port, path))
    return Contender(NAME if counted else uncounted.NAME, port, (program.tree,), log)
