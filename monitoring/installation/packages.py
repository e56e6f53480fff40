"""Servers from the system's package manager, without starting the daemons they come with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

POLICY = Path("/usr/sbin/policy-rc.d")
# invoke-rc.d asks this program whether a daemon may be started; 101 means "forbidden"
_FORBID = "#!/bin/sh\n# stands here only while keeps-answering runs apt-get\nexit 101\n"
_PATIENCE = (
    "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=10", "-o", "DPkg::Lock::Timeout=60",
)  # fmt: skip
_LIMIT_SECONDS = 900.0


class PackageError(RuntimeError):
    """The package manager could not do it; one line."""


def can_use_apt(environ: Mapping[str, str]) -> bool:
    """Root on a system of Debian's family?"""
    return os.geteuid() == 0 and shutil.which("apt-get", path=environ.get("PATH")) is not None


def apt_install(packages: Sequence[str], *, policy: Path = POLICY) -> None:
    """Install Debian packages; none of their daemons is started, now or at the next boot.

    Raises PackageError.
    """
    command = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *_PATIENCE, *packages)
    with _no_daemons(policy):
        if _run(command) is not None:  # no package lists yet, or old ones
            _run(("apt-get", "update", "-q", *_PATIENCE))
            problem = _run(command)
            if problem is not None:
                raise PackageError(f"apt-get install {' '.join(packages)} failed: {problem}")
    _forget_services(packages)


def pip_install(python: Path, requirement: str) -> None:
    """Install one requirement into the virtual environment. Raises PackageError."""
    problem = _run(
        (str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
         "--only-binary", ":all:", "--retries", "1", requirement)
    )  # fmt: skip
    if problem is not None:
        raise PackageError(f"pip install {requirement} failed: {problem}")


def _run(command: Sequence[str]) -> str | None:
    """None when it succeeded, else the last line of what it said."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {_LIMIT_SECONDS:.0f} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line for line in said if line.startswith(("E:", "ERROR"))]
    return (errors or said or [f"exit code {done.returncode}"])[-1]


@contextmanager
def _no_daemons(policy: Path) -> Iterator[None]:
    """Forbid daemon starts while inside; afterwards everything is as it was before.

    What stood there is kept beside it, so that a run that was killed is mended by the next one.
    """
    kept = policy.with_name(f"{policy.name}.kept")
    with _ended_properly():
        if policy.exists() and not kept.exists() and policy.read_text() != _FORBID:
            policy.rename(kept)
        try:
            policy.write_text(_FORBID)
            policy.chmod(0o755)
            yield
        finally:
            policy.unlink(missing_ok=True)
            if kept.exists():
                kept.rename(policy)


@contextmanager
def _ended_properly() -> Iterator[None]:
    """SIGTERM and SIGHUP run the `finally` blocks too, as SIGINT does."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget_services(packages: Sequence[str]) -> None:
    """We wanted the programs: as system services they would hold our ports after a reboot."""
    if shutil.which("systemctl") is not None:
        for package in packages:
            _run(("systemctl", "disable", f"{package}.service"))
