"""`python -m tests.drills`: break the stack under load, and see what holds. Composition."""

from __future__ import annotations

import datetime
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .calibrate import LOWEST, SHARE, CalibrationError
from .drill import Drill
from .machine import facts
from .report import page
from .results import Results, exit_code, write
from .run import RunSettings, short_form
from .scenarios import all_drills
from .screen import Screen, print_results
from .session import calibrate, expected_seconds, run_all
from .stack import StackError

DRILLS = all_drills()
SHORT_RATE = 40.0


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@click.argument("names", nargs=-1, type=click.Choice(list(DRILLS)), metavar="[NAME]...")
@click.option(
    "--rate", type=click.FloatRange(min=LOWEST, max=100_000), envvar="DRILL_RATE",
    show_envvar=True, show_default="a third of what a short trial shows possible",
    help="Requests a second.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=4, max=600), default=5, envvar="DRILL_SECONDS",
    show_envvar=True, help="Of load before the fault, and after the recovery.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, envvar="DRILL_SEED", show_envvar=True,
    help="Of the load, of the choice of victims, and of the external service's faults.",
)  # fmt: skip
@click.option(
    "--short", is_flag=True,
    help=f"A few seconds a drill at {SHORT_RATE:g} requests/s, as in the tests.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(file_okay=False, writable=True, path_type=Path),
    default=Path("var/reports"), envvar="DRILL_OUTPUT", show_envvar=True,
    help="Folder of drills.html, drills.json and of each drill's answers and ledger.",
)  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="Say what there is, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Results as JSON on standard output.")
def drills(  # noqa: PLR0917  called by click alone, by name
    names: tuple[str, ...], rate: float | None, seconds: float, seed: int, short: bool,
    output: Path, listing: bool, as_json: bool,
) -> None:  # fmt: skip
    """Start the real stack, put load on it, break one thing, and hold it to its promises.

    Without a NAME all but the long ones (random-shards, 5 minutes). Exit code 1 if a promise
    was broken, 130 after Ctrl-C.
    """
    chosen = [DRILLS[name] for name in dict.fromkeys(names)]
    chosen = chosen or [drill for drill in DRILLS.values() if listing or not drill.long]
    if listing:
        _list(chosen, as_json)
        return
    console = Console(stderr=as_json)
    _make_folder(output)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results(
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        machine=facts(),
        settings={},
    )

    def save() -> None:
        write(results, output / "drills.json")
        (output / "drills.html").write_text(page(results))

    try:
        settings = _settings(rate, seconds, seed, short, output, console)
        results.settings = _as_told(settings)
        expected = [expected_seconds(drill, settings) for drill in chosen]
        with Screen(console, expected) as screen:
            run_all(chosen, settings, screen, results, save)
    except KeyboardInterrupt:
        console.print("Interrupted; everything that was started has been ended.")
    if as_json:
        click.echo(json.dumps(results.as_json(), indent=1))
    else:
        console.print()
        print_results(results, console)
    if results.drills:
        console.print(f"\nTimelines: {output / 'drills.html'}", markup=False, soft_wrap=True)
    complete = len(results.drills) == len(chosen)
    sys.exit(exit_code(results.drills) if complete else 130)


def _make_folder(output: Path) -> None:
    try:
        (output / "drills").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"cannot write to {output}: {error.strerror}",
            param_hint="'--output' (env var: 'DRILL_OUTPUT')",
        ) from None


def _settings(
    rate: float | None, seconds: float, seed: int, short: bool, output: Path, console: Console
) -> RunSettings:
    if rate is None and short:
        rate = SHORT_RATE
    if rate is None:
        console.print("How fast is this machine? One moment …")
        found, rate = calibrate(seed)
        console.print(f"It answers {found:,.0f} requests/s; the load will be {rate:,.0f}.")
    else:
        found = rate / SHARE
    settings = RunSettings(
        rate=rate, capacity=found, seed=seed, folder=output / "drills", seconds=seconds
    )
    return short_form(settings) if short else settings


def _as_told(settings: RunSettings) -> dict[str, object]:
    return {
        "rate": round(settings.rate, 1),
        "capacity": round(settings.capacity),
        "seconds": settings.seconds,
        "seed": settings.seed,
        "short": settings.short,
        "patience": settings.patience,
    }


def _list(chosen: Sequence[Drill], as_json: bool) -> None:
    if as_json:
        told = [{"name": d.name, "about": d.about, "says": d.says} for d in chosen]
        click.echo(json.dumps(told, indent=1))
        return
    table = Table("drill", "about", "what is done", box=None, header_style="bold")
    for drill in chosen:
        table.add_row(drill.name, drill.about, escape(drill.says))
    Console().print(table)


if __name__ == "__main__":
    try:
        drills(prog_name="python -m tests.drills")
    except (StackError, CalibrationError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
