"""Who is measured: the parts of this product and those of others, each set up at its best for the
same job. A contender is what answers on a port, and the processes that use CPU for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..processes import Tree


@dataclass(frozen=True, slots=True)
class Contender:
    """`access_log`: where it must have written while it answered; None where it keeps none."""

    name: str
    port: int
    trees: tuple[Tree, ...]
    access_log: Path | None = None

    def cpu_seconds(self) -> float:
        return sum(tree.cpu_seconds() for tree in self.trees)

    def memory(self) -> int:
        return sum(tree.use().memory for tree in self.trees)
