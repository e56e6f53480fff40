"""`python -m workers`: look at running pools, scale them, roll them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .attach import NotRunningError, RunningPool, names
from .settings import MOST_WORKERS

RUN_DIR = click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/run"),
    show_default=True,
    envvar="WORKERS_RUN_DIR",
    show_envvar=True,
    help="Where pools keep their locks.",
)
NAME = click.argument("name")


@click.group()
def main() -> None:
    """Pools of workers that run here: app1, app2, balancer."""


@main.command()
@click.argument("names_wanted", metavar="[NAME]…", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@RUN_DIR
def status(names_wanted: tuple[str, ...], as_json: bool, run_dir: Path) -> None:
    """Every worker: slot, pid, state, age, load, memory, CPU, and why workers were replaced.

    Exit code 1 when nothing runs.
    """
    pools = [RunningPool(run_dir, name).describe() for name in names_wanted or names(run_dir)]
    if as_json:
        click.echo(json.dumps({"pools": pools}, indent=2))
    for pool in () if as_json else pools:
        Console().print(_table(pool))
    if not pools:
        raise NotRunningError(f"no pool runs here (looked in {run_dir}); to start them: make up")


@main.command()
@NAME
@click.argument("workers", type=click.IntRange(1, MOST_WORKERS))
@RUN_DIR
def scale(name: str, workers: int, run_dir: Path) -> None:
    """Have so many workers from now on, until the pool is restarted."""
    RunningPool(run_dir, name).scale(workers)
    click.echo(f"{name}: asked for {workers} workers; python -m workers status {name}")


@main.command()
@NAME
@RUN_DIR
def reload(name: str, run_dir: Path) -> None:
    """Replace every worker, one at a time; what the pool makes of it stands in its log."""
    RunningPool(run_dir, name).reload()
    click.echo(f"{name}: rolling restart asked for; python -m workers status {name}")


def _table(pool: dict[str, Any]) -> Table:
    replaced = ", ".join(f"{count} × {why}" for why, count in pool["restarts"].items() if count)
    soon = f", crashing: next start in {wait:.1f} s" if (wait := pool["respawn_in"]) else ""
    table = Table(
        title=f"{pool['name']} (pid {pool['pid']}, {pool['wanted']} wanted{soon})",
        caption=f"replaced: {replaced or 'none'}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    columns = (
        "slot",
        "pid",
        "state",
        "age s",
        "in flight",
        "requests",
        "connections",
        "MiB",
        "CPU s",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "state" else "right")
    for worker in pool["workers"]:
        table.add_row(
            str(worker["slot"]),
            str(worker["pid"]),
            worker["state"],
            f"{worker['age']:.0f}",
            str(worker["in_flight"]),
            str(worker["requests"]),
            str(worker["connections"]),
            str(worker["rss"] >> 20),
            f"{worker['cpu']:.1f}",
        )
    return table


if __name__ == "__main__":
    try:
        main(prog_name="python -m workers", standalone_mode=False)
    except click.ClickException as problem:
        print(f"workers: {problem.format_message()}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except (NotRunningError, OSError) as problem:
        print(f"workers: {problem}", file=sys.stderr)
        sys.exit(1)
    except click.Abort:
        sys.exit(130)
