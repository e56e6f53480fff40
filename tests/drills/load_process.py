"""The generator as the drill sees it: a process that is started, read and ended. Edge."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO

from .answers import Answer
from .client import TIMEOUT
from .load import Plan
from .recording import Tail

PROJECT = Path(__file__).resolve().parents[2]


class GeneratorError(Exception):
    """The generator ended by itself; the message has its last words."""


class LoadProcess:
    """Runs a plan in another process until `stop`.

    In a session of its own, so that Ctrl-C reaches the drill, which ends it in order.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        Path(plan.answers).touch()
        Path(plan.ledger).touch()
        self._tail = Tail(Path(plan.answers))
        self._log = Path(plan.answers).with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.drills.generator"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._ended = False
        self._input.write(json.dumps(asdict(plan)).encode() + b"\n")
        self._input.flush()

    @property
    def ledger(self) -> Path:
        return Path(self.plan.ledger)

    @property
    def answers(self) -> list[Answer]:
        """Everything read so far, in the order in which requests ended."""
        return self._tail.answers

    @property
    def complete_until(self) -> float:
        """Requests due before this moment have all ended."""
        return self._tail.complete_until

    def poll(self) -> None:
        """Read what is new. Raises GeneratorError when the generator is gone."""
        if self._process.poll() is not None:
            raise GeneratorError(f"the load generator ended by itself: {self._last_words()}")
        self._tail.poll()

    def stop(self) -> None:
        """No more requests; returns when every answer is there. Raises GeneratorError."""
        if self._ended:
            return
        self._input.close()
        try:
            code = self._process.wait(TIMEOUT + 20)
        except subprocess.TimeoutExpired:
            raise GeneratorError("the load generator does not end") from None
        finally:
            self.kill()
        if code:
            raise GeneratorError(f"the load generator failed: {self._last_words()}")

    def kill(self) -> None:
        """End it at once; what it wrote stays."""
        if self._ended:
            return
        self._ended = True
        self._process.kill()  # does nothing to one that has ended
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._tail.poll()
        self._tail.close()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None  # a pipe was asked for
        return self._process.stdin

    def _last_words(self) -> str:
        lines = self._log.read_text().strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"
