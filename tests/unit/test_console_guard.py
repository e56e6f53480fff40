"""Nobody but the console's own page changes something, and every button says its command."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring.console.change_guard import refusal
from monitoring.console.faults import all_faults
from monitoring.topology import read_topology

PROJECT = Path(__file__).resolve().parents[2]
GOOD: dict[str, str | None] = {
    "remote": "127.0.0.1", "host": "127.0.0.1:8081", "origin": "http://127.0.0.1:8081",
    "token": "right", "given": "right",
}  # fmt: skip


def test_the_own_page_may():
    assert refusal(**GOOD) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"remote": "192.0.2.1"},
        {"remote": ""},
        {"host": "evil.example", "origin": "http://evil.example"},
        {"origin": None},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8081"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "http://localhost:8081"},
        {"given": None},
        {"given": ""},
        {"given": "wrong"},
        {"given": "ünicode"},
    ],
)
def test_anybody_else_may_not(wrong: dict[str, str | None]):
    assert refusal(**(GOOD | wrong))  # type: ignore[arg-type]


def test_every_named_fault_is_there_with_the_command_it_stands_for():
    topology = read_topology((PROJECT / "supervisord.conf").read_text(), {}, PROJECT)
    faults = all_faults(topology)
    assert {
        "stop-unstable", "start-unstable", "kill-worker-app1", "unstable-at-80", "unstable-hang",
        "freeze-redis1", "thaw-redis1", "burst", "put-right",
    } <= set(faults)  # fmt: skip
    assert faults["stop-redis2"].command == ".venv/bin/supervisorctl stop redis2"
    assert faults["unstable-at-80"].command.endswith(
        """-d '{"failure_rate": 0.8}' http://127.0.0.1:4000/faults"""
    )
    assert "nginx" not in faults["put-right"].command
    assert not any("console" in name or "guardian" in name for name in faults)
