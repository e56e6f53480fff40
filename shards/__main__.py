"""`python -m shards`: look at the shards of a store. Composition."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .interface import store_for
from .migrate_command import migrate
from .rebalance_command import rebalance
from .settings import StoreSettings, split_urls
from .status import ShardStatus

_COLOURS = {"up": "green", "loading": "yellow", "down": "red"}


class StoreUrls(click.ParamType[tuple[str, ...]]):
    """A comma-separated list of redis:// URLs."""

    name = "URL[,URL...]"

    def convert(
        self,
        value: str | tuple[str, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        urls = split_urls(value) if isinstance(value, str) else value
        try:
            return StoreSettings(urls).urls
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The sharded store: records on several Redis servers."""


main.add_command(migrate)
main.add_command(rebalance)


@main.command()
@click.option(
    "--store",
    "urls",
    type=StoreUrls(),
    envvar="STORE_URL",
    show_envvar=True,
    required=True,
    help="The shards, as the app is told: redis://127.0.0.1:6379,redis://127.0.0.1:6380",
)
@click.option(
    "--copies", type=click.IntRange(1), envvar="STORE_COPIES", show_envvar=True,
    help="Of each record, as the app is told; default: 2, of one shard 1.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def status(urls: tuple[str, ...], copies: int | None, as_json: bool) -> None:
    """Each shard's address, state, records, memory, durability, and what it has yet to get.

    Exit code 0 when every shard is up and takes writes, 1 when one is down, still loading, full,
    read-only, or cannot write its disk.
    """
    logging.getLogger("shards").setLevel(logging.ERROR)  # the table says what failed
    try:
        settings = StoreSettings(urls, copies, connect_timeout_seconds=1.0)
    except ValueError as error:
        raise click.BadParameter(
            str(error), param_hint="'--copies' (env var: 'STORE_COPIES')"
        ) from None
    shards = asyncio.run(_ask(settings))
    if as_json:
        click.echo(
            json.dumps({"shards": [dataclasses.asdict(shard) for shard in shards]}, indent=2)
        )
    else:
        console = Console()
        if not console.is_terminal:
            console.width = 160  # a pipe has no width; nothing must be cut off
        console.print(_table(shards))
    sys.exit(0 if all(shard.state == "up" and shard.takes_writes for shard in shards) else 1)


async def _ask(settings: StoreSettings) -> list[ShardStatus]:
    store = store_for(settings, claim=False)
    try:
        return await store.status()
    finally:
        await store.close()


def _table(shards: list[ShardStatus]) -> Table:
    table = Table(box=None)
    for column in ("shard", "address", "state", "records", "memory", "AOF", "healing"):
        table.add_column(column, no_wrap=column != "state")
    for shard in shards:
        colour = "yellow" if shard.takes_writes is False else _COLOURS[shard.state]
        state = f"[{colour}]{shard.state}[/]"
        table.add_row(
            shard.name,
            escape(shard.address),
            f"{state} ({escape(shard.reason)})" if shard.reason else state,
            "-" if shard.records is None else f"{shard.records:,}",
            _memory(shard),
            {True: "on", False: "[red]off[/]", None: "-"}[shard.aof_enabled],
            _healing(shard),
        )
    return table


def _healing(shard: ShardStatus) -> str:
    parts = [f"{shard.hints:,} to come"] if shard.hints else []
    if shard.scan_done is not None:
        parts.append(f"all copied anew: {shard.scan_done:,} of {shard.scan_total:,}")
    if shard.rebalance:
        parts.append("to be rebalanced")
    return ", ".join(parts) or "-"


def _memory(shard: ShardStatus) -> str:
    if shard.memory_used_bytes is None:
        return "-"
    text = f"{shard.memory_used_bytes / 2**20:.1f} MiB"
    if shard.memory_max_bytes:
        text += f" of {shard.memory_max_bytes / 2**20:.0f}"
    if shard.memory_policy not in (None, "noeviction"):
        text += f", [red]evicts: {escape(shard.memory_policy or '')}[/]"
    return text


if __name__ == "__main__":
    main(prog_name="python -m shards")
