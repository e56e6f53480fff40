"""The files an instance needs; whichever cannot be had is told in one line with what moves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monitoring.access_log import AccessLog
from monitoring.page import MetricsPage
from workers import SLOTS

from .id_source import IdSource, NoFreeNodeError
from .settings import Settings
from .shared_board import SharedBoard


class UnusableFileError(Exception):
    """The message is one line for the user."""


def check(settings: Settings) -> None:
    """Raises UnusableFileError now, in the parent, and not once in every worker."""
    open_page(settings)
    open_board(settings).close()
    open_log(settings).close()
    open_ids(settings).close()


def open_page(settings: Settings) -> MetricsPage:
    """The metrics page of this instance, made if absent."""
    path = settings.metrics_dir / settings.name
    with _told(path, "--metrics-dir, APP_METRICS_DIR"):
        return MetricsPage(path, rows=SLOTS)


def open_board(settings: Settings, *, claim: bool = False) -> SharedBoard:
    """What all workers of the box know together; `claim` takes a row of it to count in."""
    with _told(settings.board_file, "--upstream-file, APP_UPSTREAM_FILE"):
        return SharedBoard(settings.board_file, claim=claim)


def open_log(settings: Settings) -> AccessLog:
    """The access log, or one that writes nothing."""
    with _told(settings.access_log, "--access-log, APP_ACCESS_LOG"):
        return AccessLog(settings.access_log)


def open_ids(settings: Settings) -> IdSource:
    """A leased node of the ids file; one per process."""
    with _told(settings.ids_file, "--ids-file, APP_IDS_FILE"):
        return IdSource(settings.ids_file)


@contextmanager
def _told(path: Path | None, mover: str) -> Iterator[None]:
    try:
        yield
    except NoFreeNodeError as error:
        raise UnusableFileError(str(error)) from error
    except OSError as error:
        where = "" if str(error.filename) == str(path) else f" ({error.filename})"
        raise UnusableFileError(
            f"cannot use {path}: {error.strerror}{where}; make it usable or move it: {mover}"
        ) from error
