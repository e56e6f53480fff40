"""What the commands print: colours and spinners on a terminal, plain lines anywhere else.

rich honours NO_COLOR and FORCE_COLOR by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

_PLAIN_WIDTH = 160  # rich assumes 80 where there is no terminal, and would fold addresses


def console() -> Console:
    """For standard output as it is now."""
    plain = not sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=plain, width=_PLAIN_WIDTH if plain else None)


@contextmanager
def doing(out: Console, text: str) -> Iterator[None]:
    """Say what takes long: a spinner with its time, or one line."""
    if not out.is_terminal:
        out.print(f"{text} …", markup=False)
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        progress.add_task(text, total=None)
        yield


@contextmanager
def downloading(out: Console, text: str) -> Iterator[Progress | None]:
    """A progress bar in bytes; None (and one line) where there is no terminal."""
    if not out.is_terminal:
        out.print(f"{text} …", markup=False)
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        progress.add_task(text, total=None)
        yield progress
