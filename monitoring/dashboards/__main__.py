"""Writes the dashboards as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .board import Board, to_json
from .overview import OVERVIEW
from .processes import PROCESSES
from .resilience import RESILIENCE
from .storage import STORAGE

BOARDS: tuple[Board, ...] = (OVERVIEW, RESILIENCE, STORAGE, PROCESSES)
FOLDER = Path(__file__).parent.parent / "grafana" / "dashboards"


@click.command(help="Write Grafana's dashboards from their Python source.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    help="Folder of the JSON files.",
    show_default="monitoring/grafana/dashboards",
)
def main(into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        for board in BOARDS:
            file = into / f"{board.uid}.json"
            file.write_text(to_json(board))
            click.echo(f"{file}  {board.title}")
    except OSError as error:
        sys.exit(f"dashboards cannot be written: {error}")


if __name__ == "__main__":
    main()
