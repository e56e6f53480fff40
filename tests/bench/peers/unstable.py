"""The service that fails on purpose, with its stock faults and a seed."""

from __future__ import annotations

import sys

from ..asking import answers
from ..bench import Bench, free_port
from . import Contender


def start(bench: Bench, seed: int) -> Contender:
    port = free_port()
    command = [
        sys.executable, "-m", "unstable", "--listen", f"127.0.0.1:{port}", "--seed", str(seed),
    ]  # fmt: skip
    program = bench.start(f"unstable-{port}", command, cpus=bench.cores.backends)
    program.wait_until(answers(port, "/readyz"))
    return Contender("unstable", port, (program.tree,))
