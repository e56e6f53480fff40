"""The project's folder and what lies where in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..topology import Topology, read_topology
from .supervision import Supervisor, SupervisorError

CONFIGURATION = "supervisord.conf"


class StackError(RuntimeError):
    """Something the user can mend; the text is one line each."""


@dataclass(frozen=True)
class Project:
    """One checkout and the topology it has with one environment."""

    root: Path
    topology: Topology

    @property
    def configuration(self) -> Path:
        return self.root / CONFIGURATION

    @property
    def tools(self) -> Path:
        return self.root / "var" / "tools"

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.topology.socket)


def open_project(root: Path, environ: Mapping[str, str]) -> Project:
    """The project in `root`. Raises StackError and SettingError."""
    root = root.resolve()
    try:
        text = (root / CONFIGURATION).read_text()
    except OSError as error:
        raise StackError(
            f"no {CONFIGURATION} can be read in {root} ({error.strerror}): "
            "run this in the project's folder"
        ) from None
    return Project(root, read_topology(text, environ, root))


def open_running(root: Path, environ: Mapping[str, str]) -> tuple[Project, int]:
    """The project with the environment that its supervisord was started with, and its pid.

    Whoever asks later has not exported the same ports again. The pid is 0 and the environment
    the caller's when no supervisord answers.
    """
    project = open_project(root, environ)
    try:
        pid = project.supervisor.pid()
        return open_project(root, psutil.Process(pid).environ()), pid
    except (SupervisorError, psutil.Error):
        return project, 0
