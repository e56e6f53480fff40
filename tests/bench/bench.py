"""What a measurement is given: programs to start, places to run them, somewhere to put figures.

A measurement is one file in `measurements/` with a `MEASUREMENT`; its function fills
`bench.result`. Everything it starts through here is ended when it is done, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cores import Cores, Cpus
from .effort import Effort
from .processes import Program, ProgramError
from .programs import PROJECT, MissingProgramError, find
from .results import Chart, Metric, Result

_LOG_LIMIT = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Measurement:
    """One question with its answer. `place` orders them in the report.

    `baseline`: the contender that the others are compared with.
    """

    name: str
    title: str
    about: str
    place: int
    baseline: str
    metrics: tuple[Metric, ...]
    charts: tuple[Chart, ...]
    run: Callable[[Bench], None]

    def empty_result(self) -> Result:
        return Result(self.name, self.title, self.about, self.baseline, self.metrics, self.charts)


class Bench:
    """One run of one measurement.

    Args:
        folder: for files of the programs; emptied by the caller.
        say: told what is being done now.
    """

    def __init__(
        self, result: Result, effort: Effort, cores: Cores, folder: Path, say: Callable[[str], None]
    ) -> None:
        self.result = result
        self.effort = effort
        self.cores = cores
        self.folder = folder
        self.step = say
        self.versions: dict[str, str] = {}
        self._programs: list[Program] = []

    def program(self, name: str) -> str:
        """Path of a program of others; its version goes into the report.

        Raises MissingProgramError.
        """
        path, version = find(name)
        self.versions[name] = version
        return path

    def start(
        self,
        name: str,
        command: Sequence[object],
        *,
        cpus: Cpus = frozenset(),
        folder: Path = PROJECT,
        environ: Mapping[str, str] | None = None,
    ) -> Program:
        """Its output is the file NAME.out in the bench's folder."""
        program = Program(
            name,
            command,
            folder=folder,
            output=self.folder / f"{name}.out",
            cpus=cpus,
            environ=environ,
        )
        self._programs.append(program)
        return program

    @contextlib.contextmanager
    def contender(self, name: str) -> Iterator[None]:
        """Inside, a peer is started; one that is missing or broken is named in the report, and the
        others go on without it."""
        try:
            yield
        except MissingProgramError as error:
            self.result.absent[name] = str(error)
        except ProgramError as error:
            self.result.failed[name] = str(error)

    def trim_logs(self) -> None:
        """Access logs are written in full, and not kept."""
        for path in self.folder.rglob("*"):
            if path.suffix in {".log", ".out", ".jsonl"} and path.stat().st_size > _LOG_LIMIT:
                os.truncate(path, 0)

    @contextlib.contextmanager
    def for_a_while(self) -> Iterator[None]:
        """What is started inside ends with it: all are told at once, the last one first."""
        before = len(self._programs)
        try:
            yield
        finally:
            ending = list(reversed(self._programs[before:]))
            for program in ending:
                program.ask_to_end()
            for program in ending:
                program.end()
            del self._programs[before:]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
