"""monitoring/README.md: written from the catalogue and the alerts, and complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitoring.catalogue import BY_NAME, METRICS
from monitoring.reference import ALERTS, FILE, SECTIONS, document, main, section_of

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("app", "balancer", "monitoring", "shards", "unstable", "workers")


def test_the_committed_file_is_what_the_catalogue_makes():
    assert FILE.read_text() == document(), "run: python -m monitoring.reference"


def test_every_metric_and_every_alert_has_one_line():
    text = document()
    for metric in METRICS:
        assert text.count(f"| `{metric.name}` |") == 1, metric.name
        assert metric.help in text
    for name in re.findall(r"- alert: (\w+)", ALERTS.read_text()):
        assert text.count(f"| `{name}` |") == 1, name


def test_every_section_has_metrics():
    assert {section_of(metric) for metric in METRICS} == set(SECTIONS)


def test_the_command_writes_it(tmp_path):
    done = CliRunner().invoke(main, ["--into", str(tmp_path / "README.md")])
    assert done.exit_code == 0
    assert (tmp_path / "README.md").read_text() == document()


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path):
    done = CliRunner().invoke(main, ["--into", str(tmp_path / "missing" / "README.md")])
    assert done.exit_code == 1
    assert done.output.startswith("the reference cannot be written: ")
    assert len(done.output.splitlines()) == 1


def strings_in_code() -> set[str]:
    """Every string constant of the programs, the catalogue's and the dashboards' left out."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if path.name == "catalogue.py" or path.parent.name == "dashboards":
                continue
            tree = ast.parse(path.read_text())
            found |= {
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return found


def test_no_metric_of_the_catalogue_is_counted_by_nobody():
    unused = set(BY_NAME) - strings_in_code()
    assert not unused, f"in the catalogue, and counted nowhere: {sorted(unused)}"


@pytest.mark.parametrize("name", ["requests_total", "balancer_backend_up"])
def test_a_line_of_the_reference_names_type_and_labels(name):
    (line,) = re.findall(rf"^\| `{name}` .*$", document(), re.MULTILINE)
    assert f"| {BY_NAME[name].kind}" in line
    for label in BY_NAME[name].labels:
        assert f"`{label}`" in line
