"""The lines of one request in the access logs of all programs, rotated files included."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from .project import Project, StackError
from .trail import Line

ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_OPTION = re.compile(r"--access-log[ =](\S+)")


def access_logs(project: Project) -> tuple[list[Path], list[str]]:
    """The files there are, and the names of the programs that were told to write none."""
    places, silent = {project.root / "var" / "log" / "access-*.jsonl"}, []
    for program in project.topology.programs:
        option = _OPTION.search(program.command)
        if option is not None and option[1].strip("'\"") == "off":
            silent.append(program.name)
        elif option is not None:
            places.add(project.root / option[1].strip("'\""))
    found: set[Path] = set()
    for place in places:
        found.update(_with_rotated(place))
    return sorted(found), silent


def _with_rotated(place: Path) -> Iterator[Path]:
    """FILE, and FILE.1, FILE.2 … that it has become."""
    for file in place.parent.glob(f"{place.name}*"):
        if file.name.endswith(".jsonl") or file.suffix[1:].isdigit() or file.name == place.name:
            yield file


def lines_of(request: str, files: list[Path]) -> list[Line]:
    """All lines whose request id or trace id it is. Raises StackError for what is no id."""
    if not ID.fullmatch(request):
        raise StackError(
            f"{request[:140]!r} is no request id: 1 to 128 letters, digits, dots, underscores and "
            "hyphens, as the answer's X-Request-Id has it"
        )
    return [line for file in files for line in _lines(request, file)]


def _lines(request: str, file: Path) -> Iterator[Line]:
    for text in _containing(f'"{request}"'.encode(), file):
        try:
            line = json.loads(text)
        except ValueError:  # half a line, of a disk that was full
            continue
        if isinstance(line, dict) and request in (line.get("request_id"), line.get("trace_id")):
            yield line


def _containing(needle: bytes, file: Path) -> Iterator[bytes]:
    """Whole lines with the needle; nothing else of a large file is looked at twice."""
    try:
        with file.open("rb") as opened:
            if opened.seek(0, 2) == 0:
                return
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                place = text.find(needle)
                while place >= 0:
                    begin = text.rfind(b"\n", 0, place) + 1
                    end = text.find(b"\n", place)
                    end = len(text) if end < 0 else end
                    yield text[begin:end]
                    place = text.find(needle, end)
    except FileNotFoundError:  # rotated away meanwhile
        return
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror}") from None
