"""drills.json, made by the drills, as a table of the README. Edge.

Read with care for it is another program's file: fields that are not there are left empty, but a
file without drills is an error and not an empty table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .markdown import grid
from .report import ReportError

# heading -> names the field may have, the unit it is in
_COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
    "drill": (("name", "drill"), ""),
    "requests": (("requests", "sent"), "count"),
    "failed": (("failed", "failures"), "count"),
    "recovered after": (("recovery_seconds", "recovery", "recovered_after"), "seconds"),
    "acknowledged writes": (("acknowledged", "acknowledged_writes"), "count"),
    "lost": (("lost", "lost_writes"), "count"),
    "verdict": (("verdict", "passed", "ok"), ""),
}


def markdown(path: Path) -> str:
    """Raises ReportError."""
    try:
        told = json.loads(path.read_text())
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}; to make it: make drill") from error
    except ValueError as error:
        raise ReportError(f"{path} is not JSON ({error}); to make it again: make drill") from error
    drills = _drills(told)
    if not drills:
        raise ReportError(f"{path} holds no drills; to make it again: make drill")
    rows = [[_shown(drill, *column) for column in _COLUMNS.values()] for drill in drills]
    filled = [any(row[number] for row in rows) for number in range(len(_COLUMNS))]
    head = [name for name, use in zip(_COLUMNS, filled, strict=True) if use]
    body = [[cell for cell, use in zip(row, filled, strict=True) if use] for row in rows]
    return f"{grid(head, body)}\n\n{_where(told)}".rstrip()


def _drills(told: Any) -> list[Mapping[str, Any]]:
    """A list of drills, or an object with one under `drills`, or drills by name."""
    found = told.get("drills", told.get("results")) if isinstance(told, dict) else told
    if isinstance(found, dict):
        found = [{"name": name, **one} for name, one in found.items() if isinstance(one, dict)]
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict) and _value(one, _COLUMNS["drill"][0])]


def _value(drill: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((drill[name] for name in names if drill.get(name) is not None), None)


def _shown(drill: Mapping[str, Any], names: tuple[str, ...], unit: str) -> str:
    match _value(drill, names), unit:
        case None, _:
            return ""
        case bool() as passed, _:
            return "passed" if passed else "failed"
        case int() | float() as number, "seconds":
            return f"{number:.1f} s"
        case int() | float() as number, _:
            return f"{number:,.0f}"
        case value, _:
            return str(value)


def _where(told: Any) -> str:
    """Machine and date, as far as the file tells."""
    if not isinstance(told, dict):
        return ""
    machine = told.get("machine")
    if isinstance(machine, dict):
        machine = ", ".join(f"{name} {value}" for name, value in machine.items())
    made = told.get("made") or told.get("date") or told.get("started")
    parts = [f"Measured {str(made)[:10]}" if made else "", str(machine) if machine else ""]
    return ". ".join(part for part in parts if part) + ("." if any(parts) else "")
