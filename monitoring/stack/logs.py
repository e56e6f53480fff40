"""Logs of all programs, or of some, with the program's name before each line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .observe import tail
from .project import Project, StackError

POLL_SECONDS = 0.25

Line = tuple[str, str]  # program, line
Show = Callable[[str, str], None]


def choose(project: Project, names: Sequence[str]) -> dict[str, Path]:
    """The log file of each program named, of all when none is. Raises StackError."""
    files = {program.name: program.log for program in project.topology.programs if program.log} | {
        "supervisord": project.topology.log
    }
    unknown = [name for name in names if name not in files]
    if unknown:
        raise StackError(
            f"no program is called {', '.join(unknown)}; there are: {', '.join(files)}"
        )
    return {name: files[name] for name in names or files}


def places(files: dict[str, Path]) -> dict[str, int]:
    """Where each file ends now, in bytes."""
    return {name: _end(file) for name, file in files.items()}


def last_lines(files: dict[str, Path], ends: dict[str, int], lines: int) -> Iterator[Line]:
    """The last lines of each file, up to its end as it was."""
    for name, file in files.items():
        for line in tail(file, lines, before=ends[name]):
            yield name, line


def follow(files: dict[str, Path], ends: dict[str, int], show: Show) -> None:
    """Whole lines written after these ends, also after a rotation, until interrupted."""
    ends = dict(ends)
    while True:
        for name, file in files.items():
            ends[name] = _show_new(name, file, ends[name], show)
        time.sleep(POLL_SECONDS)


def _show_new(name: str, file: Path, place: int, show: Show) -> int:
    end = _end(file)
    if end == place:
        return place
    if end < place:  # rotated: a new file has begun
        place = 0
    try:
        with file.open("rb") as opened:
            opened.seek(place)
            text = opened.read(end - place)
    except OSError:
        return 0
    whole, _newline, _rest = text.rpartition(b"\n")  # the rest of a line comes later
    for line in whole.decode(errors="replace").splitlines():
        show(name, line)
    return place + len(whole) + (1 if _newline else 0)


def _end(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
