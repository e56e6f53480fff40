"""Two redis-servers, as the stack runs them: append-only files, one per shard."""

from __future__ import annotations

from dataclasses import dataclass

from ..asking import accepts
from ..bench import Bench, free_port
from ..cores import Cpus
from ..processes import Tree
from ..programs import PROJECT


@dataclass(frozen=True, slots=True)
class Shards:
    ports: tuple[int, ...]
    trees: tuple[Tree, ...]

    @property
    def urls(self) -> str:
        return ",".join(f"redis://127.0.0.1:{port}" for port in self.ports)


def start(bench: Bench, cpus: Cpus | None = None) -> Shards:
    """Raises MissingProgramError."""
    server = bench.program("redis-server")
    ports, programs = (free_port(), free_port()), []
    for number, port in enumerate(ports, 1):
        folder = bench.folder / f"redis{number}"
        (folder / "var" / f"redis{number}").mkdir(parents=True)
        command = [server, PROJECT / "shards" / f"redis{number}.conf", "--port", str(port)]
        where = bench.cores.backends if cpus is None else cpus
        programs.append(bench.start(f"redis{number}", command, cpus=where, folder=folder))
    for program, port in zip(programs, ports, strict=True):
        program.wait_until(accepts(port))
    return Shards(ports, tuple(program.tree for program in programs))
