"""Runs the open-loop generator beside what is measured. Edge."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Self

from .cores import Cpus
from .paced import Outcome, Plan
from .processes import ProgramError, bound_to
from .programs import PROJECT


class PacedLoad:
    """One plan, carried out by a process of its own. `outcome` waits for its end."""

    def __init__(self, plan: Plan, cpus: Cpus) -> None:
        self._limit = plan.warmup + plan.seconds + 60
        with bound_to(cpus):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.open_loop"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(plan)) + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it, if it has not ended."""
        self._process.kill()
        self._process.communicate()

    def outcome(self) -> Outcome:
        """Raises ProgramError when the generator fails."""
        try:
            said, errors = self._process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired as error:
            raise ProgramError("the load generator did not end") from error
        try:
            return Outcome(**json.loads(said))
        except (ValueError, TypeError) as error:
            last = errors.strip().splitlines()[-1:] or ["it said nothing"]
            raise ProgramError(f"the load generator failed: {last[0]}") from error


def run(plan: Plan, cpus: Cpus) -> Outcome:
    with PacedLoad(plan, cpus) as load:
        return load.outcome()


def head(path: str, upload: int = 0) -> str:
    """A request as it goes over the wire."""
    if not upload:
        return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {upload}\r\n\r\n" + "x" * upload
