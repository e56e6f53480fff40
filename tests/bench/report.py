"""var/reports/bench.json: every measurement with its samples, figures, machine and versions. Edge.

A run of some measurements replaces those and keeps the others, each with its own date, commit and
machine. Quick runs are no figures; they go into a file of their own.
"""

from __future__ import annotations

import json
from pathlib import Path

from .results import Result, from_json, to_json

FORMAT = 1


class ReportError(Exception):
    """No report that can be read; one line that says what to do."""


def save(path: Path, results: list[Result], order: list[str]) -> list[Result]:
    """All that the file holds now, in the order given."""
    try:
        kept = {one.name: one for one in load(path)}
    except ReportError:  # none yet, or of another format
        kept = {}
    kept |= {one.name: one for one in results}
    together = [kept[name] for name in order if name in kept]
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"format": FORMAT, "measurements": [to_json(one) for one in together]}
    # Beside it first: Ctrl-C in the middle leaves the old report whole.
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    fresh.replace(path)
    return together


def load(path: Path) -> list[Result]:
    """Raises ReportError."""
    try:
        told = json.loads(path.read_text())
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}; to make it: make bench") from error
    except ValueError as error:
        raise ReportError(f"{path} is not JSON ({error}); to make it again: make bench") from error
    try:
        if told["format"] != FORMAT:
            raise ReportError(f"{path} has format {told['format']}; to make it again: make bench")
        return [from_json(one) for one in told["measurements"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"{path} is not a report of make bench: {error!r}") from error
