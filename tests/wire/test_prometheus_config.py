"""prometheus.yml: valid, usable as it is, and about the same ports as supervisord.conf."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from monitoring.topology import read_topology
from tests.prometheus_server import ROOT, find

CONFIG = ROOT / "monitoring" / "prometheus" / "prometheus.yml"
TARGET = re.compile(r'targets: \["127\.0\.0\.1:(\d+)"\].*\n\s+labels: \{instance: (\w+)\}')


def check(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find("promtool"), "check", "config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_promtool_finds_nothing_wrong_with_the_configuration():
    done = check(CONFIG)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_would_say_so_if_there_were(tmp_path):
    (tmp_path / "prometheus.yml").write_text(CONFIG.read_text().replace("job_name", "jobname", 1))
    assert check(tmp_path / "prometheus.yml").returncode != 0


def test_every_target_has_the_name_of_its_program():
    assert len(TARGET.findall(CONFIG.read_text())) == CONFIG.read_text().count("targets:") == 6


@pytest.mark.parametrize("target", TARGET.findall(CONFIG.read_text()), ids=lambda found: found[1])
def test_every_target_is_a_port_of_the_program_it_is_named_after(target):
    port, program = target
    topology = read_topology((ROOT / "supervisord.conf").read_text(), {}, ROOT)
    assert int(port) in {known.default for known in topology[program].ports}
