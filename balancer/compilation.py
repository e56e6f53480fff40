"""`make compile`: the request path as C, beside the sources it was made from.

mypyc works on a copy of the sources; what comes out is moved to its place in one step, so that a
balancer which starts meanwhile finds all of it or nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from .compiled import FOLDER, PROJECT, REQUEST_PATH, folder

_PACKAGES = ("balancer", "monitoring", "workers", "http1")
_LAST_LINES = 12


class CompilationError(RuntimeError):
    """In words for the user."""


def compile_request_path() -> Path:
    """Compile, unless that is done for these sources already; what older ones left is removed.

    Takes 20 s of a core. Raises CompilationError.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed: one at a time
        target = folder()
        if not target.is_dir():
            _compile_to(target)
    return target


def _compile_to(target: Path) -> None:
    for older in FOLDER.iterdir():
        if older.is_dir():
            shutil.rmtree(older)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="at-work-") as at_work:
        here = Path(at_work)
        for package in _PACKAGES:
            shutil.copytree(
                PROJECT / package, here / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(PROJECT / "setup.cfg", here)  # mypy's settings
        _run_mypyc(here)
        made = here / "made"
        (made / "balancer").mkdir(parents=True)
        for module in (*here.glob("*.so"), *here.glob("balancer/*.so")):
            module.rename(made / module.relative_to(here))
        made.rename(target)


def _run_mypyc(at_work: Path) -> None:
    mypyc = subprocess.run(
        [sys.executable, "-m", "mypyc", *(f"balancer/{name}.py" for name in REQUEST_PATH)],
        cwd=at_work,
        env={**os.environ, "MYPYC_OPT_LEVEL": "3", "MYPYC_DEBUG_LEVEL": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if mypyc.returncode:
        said = "\n".join(mypyc.stdout.strip().splitlines()[-_LAST_LINES:])
        raise CompilationError(
            f"the request path could not be compiled:\n{said}\n"
            "A C compiler and Python's headers are needed (Debian: apt install gcc python3-dev); "
            "the balancer runs as well without, interpreted"
        )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Compile the balancer's request path; from its next start or SIGHUP the balancer uses it."""
    out = Console(stderr=True)
    try:
        with out.status("compiling the balancer's request path (20 s)"):
            done = compile_request_path()
    except (CompilationError, OSError) as error:
        out.print(f"[red]error:[/red] {error}", highlight=False)
        sys.exit(1)
    out.print(f"compiled: {os.path.relpath(done)}", highlight=False)
    out.print("The balancer uses it from its next start (or supervisorctl signal HUP balancer).")


if __name__ == "__main__":
    main(prog_name="make compile")
