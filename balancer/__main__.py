"""`python -m balancer`: the front door, and what can be said to one that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from monitoring.own_arguments import UnreadableCommandError, own_arguments
from monitoring.scheduling import yield_to_who_computes
from monitoring.topology import SettingError
from workers import BootError, Pool, PoolSettings, State, Worker

from . import compiled
from .commands import COMMANDS, AdminError
from .options import serving_options, settings_from
from .settings import Settings


@click.group(invoke_without_command=True, context_settings={"show_default": True})
@serving_options
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Spread HTTP requests over backends, and keep answering while some of them fail.

    Without a command it serves. The commands talk to a balancer that runs here, through its
    admin port.

    Every option can be given as an environment variable: --max-body as BALANCER_MAX_BODY.
    """
    if context.invoked_subcommand is None:
        sys.exit(_run(options))


for command in COMMANDS:
    main.add_command(command)


def _run(options: dict[str, Any]) -> int:
    settings = settings_from(options)
    yield_to_who_computes()
    pool = PoolSettings(
        name="balancer",
        host=settings.listen.host,
        port=settings.listen.port,
        workers=options["workers"],
        run_dir=Path(options["run_dir"]),
        port_variable="BALANCER_PORT",
    )
    return Pool(
        "balancer.__main__:serve",
        settings=pool,
        arguments=(sys.argv[1:],),
        fresh=("balancer", "monitoring"),
    ).run()


async def serve(worker: Worker, started_with: list[str]) -> None:
    """What the pool runs in every worker: reads the settings anew, then serves.

    Raises BootError for settings that cannot be: the roll ends, and the others go on with what
    they have. When there is no other, the balancer goes on with what it was started with: who
    writes a mistake into supervisord.conf must not lose the door to the next worker that dies.
    """
    try:
        settings = _settings_now(started_with)
    except BootError as error:
        others = [one for one in worker.siblings() if one.state is State.READY]
        if others:
            raise
        try:
            settings = _read(started_with)
        except click.ClickException:
            raise error from None
        print(
            f"balancer: {error}; serving with the settings it was started with",
            file=sys.stderr,
            flush=True,
        )
    if settings.compiled and compiled.use():
        print("balancer: with the compiled request path", file=sys.stderr, flush=True)
    from .worker import serve as serve_with  # not before it is known which form is imported

    await serve_with(worker, settings)


def _settings_now(started_with: list[str]) -> Settings:
    try:
        return _read(own_arguments("balancer", started_with, Path.cwd()))
    except click.ClickException as error:
        raise BootError(error.format_message()) from error
    except (UnreadableCommandError, SettingError, OSError, subprocess.SubprocessError) as error:
        raise BootError(str(error)) from error


def _read(arguments: list[str]) -> Settings:
    return settings_from(main.make_context("balancer", list(arguments)).params)


if __name__ == "__main__":
    try:
        main(prog_name="python -m balancer", standalone_mode=False)
    except click.ClickException as error:
        print(f"balancer: {error.format_message()}", file=sys.stderr)
        sys.exit(error.exit_code)
    except AdminError as error:
        print(f"balancer: {error}", file=sys.stderr)
        sys.exit(1)
    except click.Abort:
        sys.exit(130)
