"""The Makefile and the bootstrap: what a person meets before anything is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from monitoring import bootstrap
from monitoring.bootstrap import SetupError
from tests.ops_stack import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing was set up."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "supervisord.conf"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "monitoring").mkdir()
    shutil.copy(ROOT / "monitoring/bootstrap.py", tmp_path / "monitoring")
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ("make", *arguments),
        cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_without_python_there_is_one_line_that_says_which_is_needed(checkout: Path):
    done = make(checkout, "up", "PYTHON=/nowhere/python3")
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first == "error: /nowhere/python3 is not installed; Python 3.11 or newer is needed"
    assert all(line.startswith("make: ") for line in rest)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("target", ["down", "status", "logs"])
def test_before_the_set_up_there_is_one_line_that_says_so(checkout: Path, target: str):
    done = make(checkout, target)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "error: nothing is set up here yet: make up"


def test_make_alone_lists_every_target_a_person_needs(checkout: Path):
    done = make(checkout)
    assert done.returncode == 0
    for target in ("setup", "up", "down", "status", "logs", "test", "check", "grafana"):
        assert re.search(rf"^  make {target} +\S", done.stdout, re.M), target


def test_every_documented_target_is_phony_so_that_no_file_hides_it():
    documented = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.M))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert documented <= set(phony.split())


def test_ci_runs_what_a_person_runs():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["exec make test"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_make_test_checks_formatter_linter_and_types():
    recipe = MAKEFILE.partition("\ncheck:")[2].partition("\n\n")[0]
    for tool in ("ruff format --check", "ruff check", "mypy"):
        assert tool in recipe
    assert "$(MAKE) check" in MAKEFILE.partition("\ntest:")[2].partition("\n\n")[0]


# ---- bootstrap


@pytest.fixture
def project(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def test_a_python_that_is_too_old_is_told_in_one_line_when_there_is_no_newer(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bootstrap, "NEEDED", (99, 0))
    with pytest.raises(SetupError) as refused:
        bootstrap.main([])
    assert str(refused.value).startswith("Python 3.11 or newer is needed, and ")
    assert "make up PYTHON=" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_newer_python_on_path_takes_over_from_one_that_is_too_old(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    program(project / "bin/python3.13", "#!/bin/sh\nexit 1\n")  # a shim without its Python
    program(project / "bin/python3.12", "#!/bin/sh\nexit 0\n")
    monkeypatch.setenv("PATH", str(project / "bin"))
    monkeypatch.setattr(bootstrap, "NEEDED", (99, 0))
    became: list[list[str]] = []

    def become(_path: str, arguments: list[str]) -> None:
        became.append(arguments)
        raise SystemExit

    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(SystemExit):
        bootstrap.main(["--dev"])
    ((name, *_, last),) = became
    assert name == str(project / "bin/python3.12")
    assert last == "--dev"


def installed(project: Path, extras: str) -> None:
    """As if `make` had been here."""
    program(project / ".venv/bin/python", "#!/bin/sh\nexit 0\n")
    (project / ".venv/.installed").write_text(f"{bootstrap.fingerprint()}\n{extras}\n")


class Pip:
    """Stands for pip and venv; remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[list[str]] = []
        self.answer = (0, "")
        monkeypatch.setattr(bootstrap, "run", self)

    def __call__(self, command: list[str]) -> tuple[int, str]:
        self.asked.append(command)
        return self.answer


@pytest.mark.parametrize(
    ("has", "wanted", "asks"),
    [("", [], False), ("dev", [], False), ("dev", ["--dev"], False), ("", ["--dev"], True)],
)
def test_what_is_installed_is_not_installed_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, has: str, wanted: list[str], asks: bool
):
    installed(project, has)
    pip = Pip(monkeypatch)
    bootstrap.main(wanted)
    assert bool(pip.asked) is asks


def test_changed_requirements_are_installed(project: Path, monkeypatch: pytest.MonkeyPatch):
    installed(project, "dev")
    (project / "setup.cfg").write_text("changed")
    pip = Pip(monkeypatch)
    bootstrap.main([])
    assert pip.asked[-1][-2:] == ["-e", "."]
    bootstrap.main([])
    assert len(pip.asked) == 1


def test_an_environment_that_was_moved_is_installed_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    installed(project, "")
    moved = tmp_path_factory.mktemp("moved") / "there"
    shutil.copytree(project, moved)
    monkeypatch.chdir(moved)
    pip = Pip(monkeypatch)
    bootstrap.main([])
    assert pip.asked


def test_what_pip_could_not_do_is_one_line_and_all_it_said_is_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    installed(project, "")
    (project / "setup.cfg").write_text("changed")
    pip = Pip(monkeypatch)
    pip.answer = (1, "Collecting x\nERROR: No matching distribution found for x\n\nmore\n")
    with pytest.raises(SetupError) as failed:
        bootstrap.main([])
    assert "ERROR: No matching distribution found for x" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert "Collecting x" in (project / "var/log/pip.log").read_text()
    assert "changed" not in (project / ".venv/.installed").read_text()
    assert not bootstrap.stamp_says(bootstrap.fingerprint(), "")


def test_a_python_without_venv_is_one_line_with_the_package(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    pip = Pip(monkeypatch)
    pip.answer = (1, "The virtual environment was not created because ensurepip is not available")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=r"no venv module.*apt-get install python3\.\d+-venv"):
        bootstrap.main([])
    assert len(pip.asked) == 1
    assert not (project / ".venv").exists()


def test_ctrl_c_while_packages_are_installed_is_one_line(checkout: Path):
    program(checkout / ".venv/bin/python", '#!/bin/sh\ncase "$*" in *install*) sleep 60;; esac\n')
    begun = subprocess.Popen(
        (sys.executable, "-I", "monitoring/bootstrap.py"),
        cwd=checkout, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert begun.stdout is not None
    assert "installing" in begun.stdout.readline()
    time.sleep(0.3)
    os.killpg(begun.pid, signal.SIGINT)  # the terminal tells everybody
    _output, errors = begun.communicate(timeout=30)
    assert begun.returncode == 130
    (line,) = errors.splitlines()
    assert line.startswith("Interrupted: nothing has been started")
