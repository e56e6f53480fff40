"""The arguments a program would be started with now.

supervisord reads supervisord.conf when it starts a program. A rolling restart starts none, so
each new worker looks by itself: what was changed in the file takes effect without a stop.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .topology import read_topology

_PREFIX = "exec python -m "


class UnreadableCommandError(Exception):
    """supervisord.conf does not say how this program is started; one line for the user."""


def own_arguments(
    module: str, started_with: list[str], root: Path, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Arguments of `python -m MODULE` by supervisord.conf as it is now.

    A program that supervisord did not start keeps those it was started with. Raises
    UnreadableCommandError, SettingError (a port that is none) and OSError.
    """
    name = environ.get("SUPERVISOR_PROCESS_NAME")
    if name is None:
        return started_with
    topology = read_topology((root / "supervisord.conf").read_text(), environ, root)
    try:
        command = shlex.split(topology[name].command)
    except (KeyError, ValueError) as error:
        raise UnreadableCommandError(f"no program {name} in supervisord.conf: {error}") from None
    match command:
        case [shell, "-c", script] if script.startswith(f"{_PREFIX}{module} "):
            words = script.removeprefix(f"{_PREFIX}{module} ")
            # The shell itself expands what is left, so that it means what it meant at the start.
            said = subprocess.run(
                (shell, "-c", f"printf '%s\\0' {words}"),
                cwd=root,
                env=dict(environ),
                capture_output=True,
                check=True,
            ).stdout
            return said.decode().split("\0")[:-1]
    raise UnreadableCommandError(
        f"the command of {name} in supervisord.conf is not /bin/sh -c '{_PREFIX}{module} …'"
    )
