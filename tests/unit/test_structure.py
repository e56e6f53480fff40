"""Who may import whom: data goes one way through the packages, and so do imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ALLOWED: dict[str, set[str]] = {
    "app": {"app", "http1", "shards", "workers", "monitoring"},
    "app/resilience": {"app.resilience"},
    "balancer": {"balancer", "http1", "workers", "monitoring"},
    "http1": {"http1"},
    "unstable": {"unstable", "monitoring"},
    "shards": {"shards", "monitoring"},
    "workers": {"workers"},
    "monitoring": {"monitoring"},
}
OURS = {name.partition("/")[0] for name in ALLOWED} | {"tests"}
PURE = [
    "app/ids.py",
    "app/resilience/backoff.py",
    "app/resilience/deadline.py",
    "app/resilience/board.py",
    "app/resilience/breaker.py",
    "app/resilience/budget.py",
    "app/resilience/guard.py",
    "app/resilience/hedge.py",
    "app/resilience/latency.py",
    "app/resilience/limit.py",
    "app/resilience/stale.py",
    "http1/answer.py",
    "app/resilience/retry.py",
    "balancer/backends.py",
    "balancer/budget.py",
    "balancer/concurrency.py",
    "balancer/ejection.py",
    "balancer/forwarding.py",
    "balancer/generated.py",
    "balancer/health_count.py",
    "balancer/membership.py",
    "balancer/pace.py",
    "balancer/proxy_protocol.py",
    "balancer/recent.py",
    "balancer/request_head.py",
    "balancer/request_id.py",
    "balancer/request_line.py",
    "balancer/response_head.py",
    "balancer/retry.py",
    "balancer/selection.py",
    "balancer/settings.py",
    "balancer/trace_context.py",
    "monitoring/catalogue.py",
    "monitoring/console/change_guard.py",
    "monitoring/console/diagram.py",
    "monitoring/console/drawing.py",
    "monitoring/console/events.py",
    "monitoring/console/faults.py",
    "monitoring/console/figures.py",
    "monitoring/console/findings.py",
    "monitoring/console/readings.py",
    "monitoring/console/snapshot.py",
    "monitoring/guardian/revival.py",
    "monitoring/stack/figures.py",
    "monitoring/stack/figures_text.py",
    "monitoring/stack/finding.py",
    "monitoring/stack/machine_limits.py",
    "monitoring/stack/state.py",
    "monitoring/stack/trail.py",
    "monitoring/stack/waiting.py",
    "monitoring/trace_context.py",
    "monitoring/verification/panel_queries.py",
    "monitoring/topology.py",
    "shards/layout.py",
    "shards/placement.py",
    "shards/records.py",
    "shards/settings.py",
    "unstable/decision.py",
    "unstable/settings.py",
    "workers/policy.py",
]  # fmt: skip
IMPURE = {"asyncio", "socket", "aiohttp", "redis", "httptools", "select", "threading", "uuid"}
CLOCKS_AND_DICE = {"random", "secrets", "time"}  # come in as arguments


def imported(path: Path) -> set[str]:
    """Absolute names of all modules a file imports, relative imports resolved."""
    package = path.relative_to(PROJECT).parent.parts
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names.add(".".join((*base, *([node.module] if node.module else []))))
    return names


def owner(path: Path) -> str:
    """The most specific entry of ALLOWED a file falls under."""
    folder = path.relative_to(PROJECT).parent.as_posix()
    return max((name for name in ALLOWED if f"{folder}/".startswith(f"{name}/")), key=len)


def sources() -> list[Path]:
    packages = {name.partition("/")[0] for name in ALLOWED}
    return sorted(path for name in packages for path in (PROJECT / name).rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_file_imports_only_what_its_package_may(path: Path):
    allowed = ALLOWED[owner(path)]
    for name in imported(path):
        if name.partition(".")[0] in OURS:
            assert any(name == good or name.startswith(f"{good}.") for good in allowed), name


@pytest.mark.parametrize("name", PURE)
def test_a_file_that_decides_knows_no_sockets_and_no_loop(name: str):
    roots = {module.partition(".")[0] for module in imported(PROJECT / name)}
    assert not roots & IMPURE


@pytest.mark.parametrize("name", PURE)
def test_a_file_that_decides_asks_no_clock_and_throws_no_dice(name: str):
    """`random.Random` may be named, as the type of the dice that come in."""
    tree = ast.parse((PROJECT / name).read_text())
    named = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and node.value.id in CLOCKS_AND_DICE
    }  # fmt: skip
    made = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }  # fmt: skip
    assert named <= {"random.Random"}
    assert "random.Random" not in made
    assert (
        not {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        & CLOCKS_AND_DICE
    )


def test_the_parent_of_a_pool_imports_nothing_that_speaks_http():
    for path in (PROJECT / "workers").glob("*.py"):
        roots = {module.partition(".")[0] for module in imported(path)}
        assert not roots & {"aiohttp", "httptools", "http"}, path


def test_each_package_of_setup_cfg_exists_and_none_is_missing():
    lines = (PROJECT / "setup.cfg").read_text().partition("packages =")[2].splitlines()
    listed = set()
    for line in lines[1:]:
        if not line.startswith("    "):
            break
        listed.add(line.strip())
    found = {
        path.parent.relative_to(PROJECT).as_posix().replace("/", ".")
        for path in sources()
        if path.name == "__init__.py"
    }
    assert listed == found
