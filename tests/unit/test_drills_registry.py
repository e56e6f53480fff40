"""The drills there are, what they may use, and how they are asked for."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from shards.records import key_of as products_key_of
from tests.drills import scenarios
from tests.drills.__main__ import drills
from tests.drills.keyspace import digest_of, key_of
from tests.drills.scenarios import all_drills

FOLDER = Path(scenarios.__file__).resolve().parents[1]
PRODUCT = {"app", "balancer", "monitoring", "shards", "unstable", "workers"}
PURE = (
    "answers", "charts", "drill", "evidence", "invariants", "measure", "pacing", "page_style",
    "report", "rows", "summary",
)  # fmt: skip
IMPURE = {"asyncio", "socket", "redis", "uvloop", "psutil", "subprocess", "time", "os", "signal"}
OF_THE_ISSUE = {
    "stop-unstable", "unstable-80", "unstable-hang", "unstable-reset", "unstable-garbage",
    "unstable-truncate", "unstable-drip",
    "kill-worker", "freeze-worker", "kill-parent",
    "restart-app1", "rolling-restart", "kill-balancer", "stop-redis1", "kill-redis2",
    "freeze-redis1", "wipe-redis1", "both-redis-down", "redis-full", "disk-full", "overload",
    "slow-clients", "hang-worker", "crash-loop", "reload-balancer",
    "kill-both-redis", "random-shards",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """First names of all absolute imports."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            roots.add(str(node.module).partition(".")[0])
    return roots


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_a_drill_knows_nothing_of_the_product_but_its_outside(path: Path):
    assert not imported(path) & PRODUCT


@pytest.mark.parametrize("name", PURE)
def test_what_judges_neither_waits_nor_looks_at_a_clock(name: str):
    assert not imported(FOLDER / f"{name}.py") & IMPURE


def test_every_drill_is_found_by_itself_and_none_is_missing():
    found = all_drills()
    files = {path.stem for path in (FOLDER / "scenarios").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in found} == files
    assert set(found) >= OF_THE_ISSUE


@pytest.mark.parametrize("drill", all_drills().values(), ids=lambda drill: drill.name)
def test_every_drill_promises_something_and_says_what_it_does(drill):
    assert drill.promises
    assert drill.says
    assert drill.takes > 0


def test_the_key_known_outside_is_the_key_used_inside():
    assert key_of(1234).encode() == products_key_of(1234)


def test_a_stored_value_that_is_no_record_has_no_digest():
    assert digest_of(b'{"data": {"n": 1}, "source": "live"}') != ""
    assert digest_of(b"") == digest_of(b"[]") == digest_of(b'{"n": 1}') == ""


def ask(*arguments: str):
    return CliRunner().invoke(drills, arguments, prog_name="python -m tests.drills")


def test_the_list_says_what_there_is_also_to_a_script():
    assert "kill-worker" in ask("--list").output
    told = json.loads(ask("--list", "--json").output)
    assert {drill["name"] for drill in told} == set(all_drills())
    [one] = json.loads(ask("--list", "--json", "stop-redis1").output)
    assert one["about"] == "shards"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no-such-drill",), "'kill-worker'"),
        (("--rate", "0"), "DRILL_RATE"),
        (("--seconds", "-1"), "DRILL_SECONDS"),
        (("--seed", "x"), "DRILL_SEED"),
        (("--output", "/dev/null"), "DRILL_OUTPUT"),
    ],
)
def test_a_bad_value_is_refused_in_a_line_that_says_what_is_allowed(
    arguments: tuple[str, ...], told: str
):
    said = ask(*arguments)
    assert said.exit_code == 2
    assert told in said.output.splitlines()[-1]
