"""`python -m shards migrate FROM TO`. Composition."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .migration import Migrated, MigrationError
from .migration import migrate as run_migration
from .settings import StoreSettings, split_urls

_MOST_NAMED = 5  # ids in an error
# Its callers wait for nothing else: a busy server must not end it.
_CONNECT, _OPERATION = 2.0, 10.0


def _settings(
    ctx: click.Context, param: click.Parameter, value: str, copies: int | None = None
) -> StoreSettings:
    try:
        return StoreSettings(
            split_urls(value),
            copies=copies,
            value_limit_bytes=2**24,  # whatever the source has was allowed once
            connect_timeout_seconds=_CONNECT,
            operation_timeout_seconds=_OPERATION,
        )
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from None


@click.command()
@click.argument("source", metavar="FROM", callback=_settings)
@click.argument("target", metavar="TO", callback=_settings)
@click.option(
    "--copies", type=click.IntRange(1), envvar="STORE_COPIES", show_envvar=True,
    help="Of each record in TO, if these are plain shards; default: 2, of one shard 1.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON on standard output.")
def migrate(
    source: StoreSettings, target: StoreSettings, copies: int | None, as_json: bool
) -> None:
    """Copy every record of FROM into TO and read each back: redis://HOST:PORT,... (plain shards)
    or redis+cluster://HOST:PORT,... (a Redis Cluster), either way.

    Times to live are kept, FROM is only read, and what TO has already is verified and not
    written again: after an interruption run it again. Move the writers to TO first, or run it
    once more after they have moved: what is written to FROM meanwhile may be missed.

    Exit code 0 when all is copied and verified, 1 when a side failed or an id holds another value
    in TO, 130 after Ctrl-C.
    """
    logging.getLogger("shards").setLevel(logging.ERROR)  # the one line says what failed
    if copies is not None:
        try:
            target = dataclasses.replace(target, copies=copies)
        except ValueError as error:
            raise click.BadParameter(
                str(error), param_hint="'--copies' (env var: 'STORE_COPIES')"
            ) from None
    moved = Migrated()
    code = 0
    try:
        _run(source, target, moved)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except MigrationError as error:
        click.echo(f"Error: {error}", err=True)
        code = 1
    except KeyboardInterrupt:
        click.echo("Interrupted. Nothing is lost: run it again to go on.", err=True)
        code = 130
    if moved.conflicts:
        some = ", ".join(map(str, sorted(set(moved.conflicts))[:_MOST_NAMED]))
        click.echo(
            f"Error: TO: {len(set(moved.conflicts))} records hold other values there and were left"
            f" as they are: {some}. Are these two stores of one service?",
            err=True,
        )
        code = code or 1
    _tell(moved, as_json)
    sys.exit(code)


def _run(source: StoreSettings, target: StoreSettings, moved: Migrated) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("copying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("copying", total=None)

        def show() -> None:
            progress.update(bar, completed=moved.looked_at, total=max(moved.total, moved.looked_at))

        asyncio.run(run_migration(source, target, moved, show))


def _tell(moved: Migrated, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(moved)))
        return
    click.echo(
        f"{moved.looked_at:,} copies looked at: {moved.copied:,} records copied,"
        f" {moved.present:,} there already, {moved.verified:,} verified"
        + (f", {moved.expired:,} expired meanwhile" if moved.expired else "")
    )
