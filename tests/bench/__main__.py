"""`python -m tests.bench`: measure, show, paste. Composition."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import measurements, page, paste, report, runner, table
from .effort import FULL, QUICK, STANDARD, Effort
from .programs import PROJECT
from .results import Result

REPORTS = PROJECT / "var" / "reports"


class Defaulting(click.Group):
    """Without a command it runs everything."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["run"])


@click.group(
    cls=Defaulting,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def command() -> None:
    """Is it fast? Every figure stands beside a peer's, measured in the same run."""


def reports_option(function: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--reports",
        type=click.Path(file_okay=False, path_type=Path),
        default=REPORTS,
        envvar="BENCH_REPORTS",
        show_envvar=True,
        show_default="var/reports",
        help="Folder of bench.json and bench.html.",
    )(function)


@command.command()
@click.argument("names", nargs=-1)
@click.option("--quick", is_flag=True, help="Seconds each, to see that it works; no figures.")
@click.option("--full", is_flag=True, help="More rounds, longer ones, a million requests.")
@reports_option
def run(names: tuple[str, ...], quick: bool, full: bool, reports: Path) -> None:
    """Measure all (ten minutes on two cores), or those that are named.

    `balancer` stands for all whose name begins so.
    """
    if quick and full:
        raise click.UsageError("--quick and --full: one of them")
    effort = QUICK if quick else FULL if full else STANDARD
    out = _console()
    try:
        chosen = measurements.chosen(names)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    good = True
    with (
        _ended_properly(),
        _progress(out, len(chosen)) as say,
        contextlib.closing(runner.run_all(chosen, effort, say)) as results,
    ):
        for result in results:
            table.print_result(out, result)
            _write(reports, effort, result)
            good &= result.is_good
    out.print(f"\n{reports / _file(effort)}.html, and .json beside it", soft_wrap=True)
    sys.exit(0 if good else 1)


@command.command("list")
def list_all() -> None:
    """What can be measured."""
    for one in measurements.all_measurements():
        click.echo(f"{one.name:20} {one.title}")


@command.command()
@reports_option
def show(reports: Path) -> None:
    """Print the last report again, and write its page anew."""
    out = _console()
    results = report.load(reports / "bench.json")
    for result in results:
        table.print_result(out, result)
    page.write(reports / "bench.html", results)


@command.command("paste")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("README.md"))
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 when it would.")
@reports_option
def paste_figures(file: Path, check: bool, reports: Path) -> None:
    """Put the figures of the last runs between the markers of FILE (README.md).

    A marker is a line `<!-- bench:begin NAME -->`, its end `<!-- bench:end -->`; NAME is a
    benchmark, `summary` or `drills`.
    """
    try:
        text = file.read_text()
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from None
    fresh = paste.pasted(text, paste.Sources(reports))
    if fresh == text:
        click.echo(f"{file}: the figures are those of {reports}")
    elif check:
        click.echo(
            f"{file}: the figures are old; to renew them: python -m tests.bench paste", err=True
        )
        sys.exit(1)
    else:
        file.write_text(fresh)
        click.echo(f"{file}: figures pasted")


def _file(effort: Effort) -> str:
    return "bench-quick" if effort is QUICK else "bench"


def _write(reports: Path, effort: Effort, result: Result) -> None:
    order = [one.name for one in measurements.all_measurements()]
    together = report.save(reports / f"{_file(effort)}.json", [result], order)
    page.write(reports / f"{_file(effort)}.html", together)


def _console() -> Console:
    wide = None if sys.stdout.isatty() else 180
    return Console(highlight=False, width=wide)


@contextlib.contextmanager
def _progress(out: Console, count: int) -> Iterator[Callable[[str, str], None]]:
    """On a terminal a bar that says what is done now; elsewhere a line a measurement."""
    if not out.is_terminal:
        said: list[str] = []

        def line(name: str, text: str) -> None:
            if name not in said:
                said.append(name)
                out.print(f"{len(said)} of {count}: {name} …")

        yield line
        return
    columns = (
        TimeElapsedColumn(),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("", total=count)
        begun: list[str] = []

        def bar(name: str, text: str) -> None:
            if name not in begun:
                begun.append(name)
            progress.update(task, completed=len(begun) - 1, description=f"{name}: {text}")

        yield bar


@contextlib.contextmanager
def _ended_properly() -> Iterator[None]:
    """SIGTERM and SIGHUP end what was started, as Ctrl-C does."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """Errors of the user's are one line. Returns the exit code."""
    try:
        command.main(prog_name="python -m tests.bench", standalone_mode=False)
    except click.ClickException as error:
        print(f"bench: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except (report.ReportError, paste.PasteError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (click.Abort, KeyboardInterrupt):
        print(
            "bench: stopped; what it started has ended, what was measured is kept", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
