"""The files of a drill: its answers, and the ledger of what was acknowledged. Edge.

Both are only ever appended to, by the generator, and read by the drill while they grow:

* answers: a line each (see `Answer.line`), and now and then `~ SECONDS`: every request that was
  due before this moment has its line.
* ledger: `ID DIGEST`, one line for every answer that said that its record is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from .answers import Answer


class Recording:
    """Writes both files, in batches: what is added is in them after `flush`."""

    def __init__(self, answers: Path, ledger: Path) -> None:
        self._answers = answers.open("a")
        self._ledger = ledger.open("a")
        self._lines: list[str] = []

    def add(self, answer: Answer, digest: str = "") -> None:
        """An answer, and the digest of its data when it says that this is stored."""
        if digest:
            self._ledger.write(f"{answer.id} {digest}\n")
        self._lines.append(answer.line())

    def flush(self, complete_until: float) -> None:
        self._ledger.flush()  # before the answer is seen to be acknowledged
        self._answers.write("".join(self._lines) + f"~ {complete_until:.6f}\n")
        self._answers.flush()
        self._lines.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._ledger.close()


class Tail:
    """Reads an answers file that grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open()
        self._rest = ""
        self.answers: list[Answer] = []
        self.complete_until = 0.0

    def poll(self) -> None:
        """Take in what was written since the last time."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            if line.startswith("~ "):
                self.complete_until = float(line[2:])
            else:
                self.answers.append(Answer.parse(line))

    def close(self) -> None:
        self._file.close()


def read_ledger(paths: Iterable[Path]) -> dict[int, str]:
    """Id -> digest of everything that was acknowledged.

    Raises ValueError when one id was acknowledged with two different contents.
    """
    acknowledged: dict[int, str] = {}
    for path in paths:
        for line in path.read_text().splitlines():
            record_id, digest = line.split(" ")
            if acknowledged.setdefault(int(record_id), digest) != digest:
                raise ValueError(f"id {record_id} was acknowledged twice, with different data")
    return acknowledged
