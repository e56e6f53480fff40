"""Ctrl-C: one line about the state things are in and what to do next, exit code 130."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from ..topology import SettingError
from .project import StackError, open_running

EXIT_CODE = 130  # as shells have it: 128 + SIGINT


class Interruptible(click.Group):
    """Commands that say where they stopped when they are interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(_told(ctx.invoked_subcommand or ""), err=True)
            ctx.exit(EXIT_CODE)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C waits until the block has ended: for what must not be left half done."""
    came: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _told(command: str) -> str:
    if command not in ("up", "down"):
        return "Interrupted."
    try:
        _project, pid = open_running(Path.cwd(), os.environ)
    except (StackError, SettingError):
        pid = 0
    if command == "down":
        return (
            "Interrupted: not everything has ended. To go on: make down"
            if pid
            else "Interrupted: supervisord has ended. To end what may be left: make down"
        )
    if pid:
        return (
            f"Interrupted: supervisord (pid {pid}) goes on starting the programs. "
            "To wait for them: make up; to end them: make down"
        )
    return "Interrupted: nothing runs. To go on: make up"
