"""`python -m shards rebalance`. Composition."""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .rebalancing import Rebalance, RebalanceError
from .settings import StoreSettings, split_urls

# Its callers wait for nothing else: a busy server must not end it.
_CONNECT, _OPERATION = 2.0, 10.0


@click.command()
@click.option(
    "--store", "urls", envvar="STORE_URL", show_envvar=True, required=True, metavar="URL[,URL...]",
    help="The shards as the app is told now, ?leaving behind those that are taken out:"
    " redis://127.0.0.1:6379,redis://127.0.0.1:6380,redis://127.0.0.1:6381?leaving",
)  # fmt: skip
@click.option(
    "--copies", type=click.IntRange(1), envvar="STORE_COPIES", show_envvar=True,
    help="Of each record, as the app is told; default: 2, of one shard 1.",
)  # fmt: skip
@click.option(
    "--records-per-second", type=click.FloatRange(1, 1_000_000), default=2000.0,
    envvar="STORE_REBALANCE_RATE", show_envvar=True, show_default=True,
    help="At most so many copies are made, moved or removed; ten times as many are looked at.",
)  # fmt: skip
@click.option(
    "--gone", multiple=True, metavar="NAME",
    help="A shard that had records and is lost for ever, so that nobody waits for it any more.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="What was done, as JSON, on standard output.")
def rebalance(
    urls: str, copies: int | None, records_per_second: float, gone: tuple[str, ...], as_json: bool
) -> None:
    """Move records to the shards that must have them, after the list of shards has changed.

    To add a shard: put it at the end of the list that the app is told, restart the app, run this.
    To take one out: write ?leaving behind it (redis://HOST:PORT?leaving), restart the app, run
    this, then take it off the list. If it is not the last one, the others need names from then
    on, those they have: redis://HOST:PORT#redis2.

    New records go to their places as soon as the app knows the list; old ones are read meanwhile
    from where they are. Each record is copied, read back, and only then removed from where it
    was; times to live are kept. It may be interrupted: run it again.

    Exit code 0 when every record was found in its place, 1 when it could not be finished,
    130 after Ctrl-C.
    """
    try:
        settings = StoreSettings(
            split_urls(urls),
            copies=copies,
            connect_timeout_seconds=_CONNECT,
            operation_timeout_seconds=_OPERATION,
        )
    except ValueError as error:
        raise click.BadParameter(
            str(error), param_hint="'--store' (env var: 'STORE_URL')"
        ) from None
    if settings.is_cluster:
        raise click.UsageError(
            "a Redis Cluster moves records itself: redis-cli --cluster rebalance"
        )
    for name in gone:
        if name in {address.name for address in settings.addresses}:
            # What is owed to it would be forgotten with it.
            raise click.BadParameter(
                f"{name} is among the shards of --store: take it off that list first.",
                param_hint="'--gone'",
            )
    logging.getLogger("shards").setLevel(logging.ERROR)  # the one line says what failed
    sys.exit(_Run(settings, records_per_second, frozenset(gone), as_json).code())


class _Run:
    """On a terminal a bar; elsewhere a line a step on standard error."""

    def __init__(
        self, settings: StoreSettings, rate: float, gone: frozenset[str], as_json: bool
    ) -> None:
        console = Console(stderr=True)
        text = TextColumn("{task.description}")
        columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("waiting", total=None)
        self._settings = settings
        self._as_json = as_json
        self._rebalance = Rebalance(
            settings, rate, gone=gone, report=self._say, progress=self._show
        )

    def code(self) -> int:
        error, code = None, 0
        with self._bar:
            try:
                asyncio.run(self._rebalance.run())
            except RebalanceError as failure:
                error, code = str(failure), 1
            except KeyboardInterrupt:
                error, code = "Interrupted. Nothing is lost: run it again to go on.", 130
        if error:
            click.echo(f"Error: {error}" if code == 1 else error, err=True)
        self._tell(code == 0)
        return code

    def _say(self, step: str) -> None:
        self._bar.console.print(step, highlight=False)

    def _show(self) -> None:
        rebalance = self._rebalance
        self._bar.update(
            self._task,
            description=f"pass {rebalance.passes}",
            completed=rebalance.done,
            total=max(rebalance.total, rebalance.done),
        )

    def _tell(self, finished: bool) -> None:
        moved = self._rebalance.moved
        if self._as_json:
            counts = {
                "finished": finished,
                "passes": self._rebalance.passes,
                "looked_at": moved.looked_at,
                "copied": moved.copied,
                "switched": moved.switched,
                "removed": moved.removed,
                "conflicts": sorted(moved.conflicts),
            }
            click.echo(json.dumps(counts))
            return
        click.echo(
            f"{moved.copied:,} copies made on other shards, {moved.switched:,} switched on their"
            f" own, {moved.removed:,} removed"
        )
        if finished:
            leaving = [one.name for one in self._settings.addresses if one.leaving]
            click.echo("every record is in its place")
            for name in leaving:
                click.echo(f"{name} is empty: take it off the list")
