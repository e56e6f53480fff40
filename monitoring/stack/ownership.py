"""Is everything under `var/` ours to write? A start by root leaves files that others cannot."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from .project import Project, StackError


def make_folders(project: Project) -> None:
    """var/log and var/run, without which supervisord refuses to start. Raises StackError for
    these, for anything under var/ that cannot be written, and for another user's supervisord."""
    _refuse_another_users_supervisord(project)
    var = project.root / "var"
    for folder in dict.fromkeys(
        (project.topology.log.parent, project.topology.pid_file.parent, project.tools / "bin")
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StackError(_not_writable(folder, error.strerror or str(error), var)) from None
    stranger = next(_unusable(var, project.tools), None)
    if stranger is not None:
        raise StackError(_not_writable(stranger, "no right to", var))


def not_usable(project: Project) -> str | None:
    """What under var/ cannot be used, in one line; None when there is nothing, or no var/ yet."""
    try:
        _refuse_another_users_supervisord(project)
    except StackError as error:
        return str(error)
    var = project.root / "var"
    if not var.exists():
        usable = os.access(project.root, os.W_OK | os.X_OK, effective_ids=True)
        return None if usable else _not_writable(project.root, "no right to", var)
    stranger = var if not os.access(var, os.W_OK, effective_ids=True) else None
    stranger = stranger or next(_unusable(var, project.tools), None)
    return None if stranger is None else _not_writable(stranger, "no right to", var)


def _unusable(folder: Path, tools: Path) -> Iterator[Path]:
    """Files and folders that this process may not use; what `tools` holds is only read."""
    for entry in sorted(folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            inside = entry.is_dir() and not entry.is_symlink()
            wanted = os.R_OK | os.W_OK | (os.X_OK if inside else 0)
            if not entry.is_symlink() and not os.access(entry, wanted, effective_ids=True):
                yield entry
            elif inside and entry != tools:
                yield from _unusable(entry, tools)


def _not_writable(path: Path, reason: str, var: Path) -> str:
    """One line: the path, whose it is, and the command that mends it."""
    nearest = next(place for place in (path, *path.parents) if place.exists())
    status = nearest.stat()
    place = shlex.quote(str(var if nearest.is_relative_to(var) else nearest))
    if status.st_uid != os.geteuid():
        reason = f"it belongs to {_user(status.st_uid)}"
        mend = f"sudo chown -R {_user(os.geteuid())} {place}"
    elif not nearest.is_dir() and nearest != path:
        reason = f"{nearest} is no folder"
        mend = f"mv {place} {place}.old"
    elif not os.access(nearest, os.W_OK, effective_ids=True):
        mend = f"chmod -R u+rwX {place}"
    else:
        return f"{path} is not writable: {reason}"
    return f"{path} is not writable, {reason}. To mend it: {mend}"


def _refuse_another_users_supervisord(project: Project) -> None:
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int(project.topology.pid_file.read_text()))
        owner = process.uids().effective
        named = any(Path(word).name == "supervisord" for word in process.cmdline()[:2])
        if os.geteuid() not in (0, owner) and named:
            raise StackError(
                f"{_user(owner)} runs it already (supervisord has pid {process.pid}). "
                "To end that: sudo make down"
            )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
