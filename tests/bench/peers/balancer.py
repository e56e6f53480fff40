"""Our balancer, with its default settings: time-outs, limits, metrics, access log."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from balancer.compiled import folder

from ..asking import answers
from ..bench import Bench, free_port
from ..cores import Cpus
from ..programs import MissingProgramError
from . import Contender, uncounted

NAME = "ours"
COMPILED = "ours, compiled"


def start(
    bench: Bench,
    *backends: int,
    path: str = "/100B",
    cpus: Cpus | None = None,
    options: Sequence[str] = ("--health-path", "off"),
    counted: bool = True,
    compiled: bool = False,
) -> Contender:
    """In front of these ports; ready when `path` is answered.

    Args:
        cpus: where it runs, if not on those of what is measured.
        counted: false for the same program without its metrics.
        compiled: with the request path that `make compile` has made. Raises
            MissingProgramError if it has not.
    """
    if compiled and not is_compiled():
        raise MissingProgramError("its request path is not compiled: make compile")
    own, port = bench.folder / f"balancer-{free_port()}", free_port()
    own.mkdir()
    log = own / "access.jsonl"
    module = ("balancer",) if counted else (uncounted.MODULE, "balancer")
    command: list[str] = [
        sys.executable, "-m", *module, "--listen", f"127.0.0.1:{port}",
        "--admin", f"127.0.0.1:{free_port()}", "--access-log", str(log),
        "--metrics-file", str(own / "metrics"), "--run-dir", str(own),
        "--compiled" if compiled else "--interpreted", *options,
    ]  # fmt: skip
    for backend in backends:
        command += ["--backend", f"127.0.0.1:{backend}"]
    program = bench.start("balancer", command, cpus=bench.cores.measured if cpus is None else cpus)
    program.wait_until(answers(port, path))
    name = COMPILED if compiled else NAME if counted else uncounted.NAME
    return Contender(name, port, (program.tree,), log)


def is_compiled() -> bool:
    """Whether a balancer that is started now, without an option, would be the compiled one."""
    return folder().is_dir()
