"""The compiled request path is used for the sources it was made from, and for no others."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import balancer.pace
from balancer import compilation, compiled


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, in which nothing is compiled."""
    for package in ("balancer", "monitoring", "workers", "http1"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(compiled.PROJECT / package, tmp_path / package, ignore=ignored)
    shutil.copy(compiled.PROJECT / "setup.cfg", tmp_path)
    for module in (compiled, compilation):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
        monkeypatch.setattr(module, "FOLDER", tmp_path / "var" / "compiled")
    return tmp_path


@pytest.mark.parametrize("changed", ["balancer/exchange.py", "balancer/settings.py"])
def test_a_source_that_changed_is_never_served_by_what_was_compiled_before(
    project: Path, changed: str
):
    before = compiled.folder()
    before.mkdir(parents=True)
    source = project / changed
    source.write_text(source.read_text() + "\n")
    assert compiled.folder() != before
    assert not compiled.use()


def test_a_module_that_moves_to_another_name_counts_as_a_change(project: Path):
    before = compiled.folder()
    (project / "balancer" / "pace.py").rename(project / "balancer" / "peace.py")
    assert compiled.folder() != before


def test_half_of_each_form_is_refused(project: Path):
    compiled.folder().mkdir(parents=True)
    path = list(balancer.__path__)
    with pytest.raises(RuntimeError, match="pace"):
        compiled.use()
    assert list(balancer.__path__) == path
    assert str(compiled.folder()) not in sys.path


def test_without_a_compiler_it_is_said_what_is_missing_and_nothing_is_left(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(compilation.CompilationError, match="apt install gcc"):
        compilation.compile_request_path()
    assert [left.name for left in (project / "var" / "compiled").iterdir()] == ["lock"]
