"""Make .venv and install the project and its packages into it.

`make` runs this with whatever python3 is there, before anything is installed: only the standard
library, and nothing that Python 3.6 cannot parse, so that an old one is told what is needed
instead of stumbling over syntax. Takes 0.1 s when there is nothing to do.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterable  # noqa: UP035 (3.8 has no generic collections.abc)

NEEDED = (3, 11)
OTHER_NAMES = ("python3.14", "python3.13", "python3.12", "python3.11")
VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
LOG = Path("var") / "log" / "pip.log"
STEPS = ("Collecting", "Building", "Installing")


class SetupError(Exception):
    """One line for the user."""


def main(arguments: "list[str]") -> None:
    extras = ",".join(name for name in ("dev", "bench") if f"--{name}" in arguments)
    if sys.version_info < NEEDED:
        run_newer_python(arguments)
    wanted = fingerprint()
    if runs(str(PYTHON)) and stamp_says(wanted, extras):
        return
    make_venv()
    install(extras)
    STAMP.write_text(f"{wanted}\n{extras}\n")


def run_newer_python(arguments: "list[str]") -> None:
    """Become the first newer Python on PATH. Raises SetupError when there is none."""
    for name in OTHER_NAMES:
        found = shutil.which(name)
        if found and runs(found):
            os.execv(found, [found, "-I", __file__, *arguments])  # noqa: S606
    have = ".".join(str(part) for part in sys.version_info[:3])
    raise SetupError(
        f"Python 3.11 or newer is needed, and {sys.executable} is {have}. Install one and name it: "
        "make up PYTHON=/path/to/python3.11"
    )


def runs(python: str) -> bool:
    """Does this interpreter start, and is it new enough?"""
    check = f"import sys; sys.exit(sys.version_info < {NEEDED!r})"
    try:
        return subprocess.call([python, "-c", check], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def has_pip() -> bool:
    """A .venv that was interrupted while it was made has a Python and no pip."""
    check = [str(PYTHON), "-m", "pip", "--version"]
    return subprocess.call(check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def fingerprint() -> str:
    """Changes with the packages wanted and with the place: a moved .venv does not work."""
    digest = hashlib.sha256(str(Path.cwd()).encode())
    for name in ("setup.cfg", "pyproject.toml"):
        digest.update(Path(name).read_bytes())
    return digest.hexdigest()


def stamp_says(wanted: str, extras: str) -> bool:
    """Has exactly this been installed, with these extras or more?"""
    try:
        known, has = STAMP.read_text().split("\n")[:2]
    except (OSError, ValueError):
        return False
    return known == wanted and set(extras.split(",")) <= {"", *has.split(",")}


def make_venv() -> None:
    if runs(str(PYTHON)) and has_pip():
        return
    say("making .venv with Python " + ".".join(str(part) for part in sys.version_info[:3]))
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    status, output = run(command)
    if status != 0 and no_venv_module(output) and install_venv_module():
        status, output = run(command)
    if status == 0:
        return
    shutil.rmtree(str(VENV), ignore_errors=True)
    if no_venv_module(output):
        raise SetupError(
            f"{sys.executable} has no venv module. On Debian and Ubuntu: "
            f"apt-get install {venv_package()}; then try again"
        )
    raise SetupError(f"cannot make .venv: {last_line(output)}")


def no_venv_module(output: str) -> bool:
    return "ensurepip" in output or "No module named venv" in output


def venv_package() -> str:
    """Debian has the venv module in a package of its own, one for each version."""
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def install_venv_module() -> bool:
    """As root on a system of Debian's family; did it work?"""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    say(f"apt-get install {venv_package()}")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", venv_package()]
    return run(install)[0] == 0 or (
        run(["apt-get", "update", "-q"])[0] == 0 and run(install)[0] == 0
    )


def install(extras: str) -> None:
    """pip, quietly. Raises SetupError with its first complaint."""
    began = time.time()
    say("installing Python packages")
    target = f".[{extras}]" if extras else "."
    status, output = run(
        [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-color",
         "--progress-bar", "off", "-e", target]
    )  # fmt: skip
    if status == 0:
        say(f"Python packages installed after {time.time() - began:.0f} s")
        return
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_text(output)
    lines = [line.strip() for line in output.split("\n")]
    errors = [line for line in lines if line.startswith("ERROR")]
    reason = errors[0] if errors else last_line(output)
    raise SetupError(f"pip could not install the packages: {reason} (all it said: {LOG})")


def run(command: "list[str]") -> "tuple[int, str]":
    """Exit code and all output; on a terminal the step it is at, as it goes."""
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    output = follow(program.stdout or ())
    return program.wait(), output


def follow(lines: Iterable[str]) -> str:
    began = time.time()
    output = []
    terminal = sys.stdout.isatty()
    for line in lines:
        output.append(line)
        words = line.split()
        if terminal and len(words) > 1 and words[0] in STEPS:
            text = f"  {time.time() - began:3.0f} s  {words[0].lower()} {words[1]}"
            sys.stdout.write("\r" + text[:78].ljust(78))
            sys.stdout.flush()
    if terminal:
        sys.stdout.write("\r" + " " * 78 + "\r")
    return "".join(output)


def last_line(output: str) -> str:
    return ([line.strip() for line in output.split("\n") if line.strip()] or ["?"])[-1]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (SetupError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted: nothing has been started, and the Python packages may be installed in "
            "part. To go on: the same make command again\n"
        )
        sys.exit(130)
