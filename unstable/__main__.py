"""`python -m unstable`: read the settings, wire the parts, run until SIGTERM."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import sys
from pathlib import Path

import click
import uvloop

from monitoring.access_log import AccessLog
from monitoring.page import MetricsPage
from monitoring.scheduling import yield_to_who_computes

from .control import FaultControl
from .faults import STOCK
from .listen import StartError, listen
from .options import Address, FileOrOff, KnobValue, knob_options
from .server import Parts, serve
from .settings import SEED, BadSettingError, FaultSettings


@click.command(
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="Change the rates while it runs: curl -X PUT localhost:4000/faults "
    "-d '{\"failure_rate\": 1}'; curl -X DELETE localhost:4000/faults puts the start-up values "
    "back.",
)
@click.option(
    "--listen",
    "address",
    type=Address(),
    required=True,
    envvar="UNSTABLE_LISTEN",
    show_envvar=True,
    help="Where to listen, for example 127.0.0.1:4000.",
)
@knob_options(knob for knob in STOCK.schema.knobs.values() if knob is not SEED)
@click.option(
    "--seed",
    type=KnobValue(SEED),
    show_default="a new one each time, shown at start",
    envvar="UNSTABLE_SEED",
    show_envvar=True,
    help=SEED.help,
)
@click.option(
    "--access-log",
    type=FileOrOff(),
    default="off",
    envvar="UNSTABLE_ACCESS_LOG",
    show_envvar=True,
    help="File for one JSON line a request.",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="UNSTABLE_METRICS_FILE",
    show_envvar=True,
    help="File that keeps the counters over restarts; without it they start at 0.",
)
def command(
    address: tuple[str, int],
    seed: float | None,
    access_log: Path | None,
    metrics_file: Path | None,
    **knobs: float,
) -> None:
    """An external service that fails on purpose, as often as you say, and repeatably.

    GET /data answers, fails or is late; GET /faults shows how often.
    """
    knobs["seed"] = secrets.randbits(32) if seed is None else seed
    try:
        settings = FaultSettings.checked(STOCK.schema, knobs)
    except BadSettingError as error:
        raise click.UsageError(str(error)) from None
    listener = listen(*address)
    parts = Parts(
        STOCK,
        listener,
        _open_log(access_log),
        _open_page(metrics_file),
        FaultControl(settings, random.Random()),  # noqa: S311 - dice, not keys
    )
    _announce(listener, settings)
    yield_to_who_computes()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(parts))
    finally:
        parts.log.close()  # after the loop: requests cut off at the end have their line too


def _open_log(path: Path | None) -> AccessLog:
    try:
        return AccessLog(path)
    except OSError as error:
        raise StartError(
            f"cannot write the access log {path}: {error.strerror}; "
            "set --access-log or UNSTABLE_ACCESS_LOG to another file or to off"
        ) from None


def _open_page(path: Path | None) -> MetricsPage:
    try:
        return MetricsPage(path)
    except OSError as error:
        raise StartError(
            f"cannot write the metrics file {path}: {error.strerror}; "
            "set --metrics-file or UNSTABLE_METRICS_FILE to another file"
        ) from None


def _announce(listener: socket.socket, settings: FaultSettings) -> None:
    host, port = listener.getsockname()[:2]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    rates = ", ".join(f"{kind} {rate:g}" for kind, rate in settings.rates.items() if rate)
    click.echo(
        f"unstable: listening on http://{where}/data; faults: {rates or 'none'}; "
        f"seed {settings.values['seed']:.0f}"
    )


def main() -> int:
    """Run; errors of the user's are one line on stderr. Returns the exit code."""
    try:
        command.main(prog_name="python -m unstable", standalone_mode=False)
    except click.ClickException as error:
        print(f"unstable: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except StartError as error:
        print(f"unstable: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
