"""`python -m balancer`: the front door."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from monitoring.own_arguments import UnreadableCommandError, own_arguments
from monitoring.topology import SettingError
from workers import MOST_WORKERS, BootError, Pool, PoolSettings, Worker

from .settings import Address, Settings

F = TypeVar("F", bound=Callable[..., Any])


class AddressType(click.ParamType[Address]):
    """`HOST:PORT`; several in one environment variable are separated by commas."""

    name = "host:port"
    envvar_list_splitter = ","

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        if isinstance(value, Address):
            return value
        host, colon, port = str(value).strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
            self.fail(f"{value!r} is not HOST:PORT with a port from 1 to 65535", param, ctx)
        return Address(host, int(port))


ADDRESS = AddressType()


class Seconds(click.FloatRange):
    """More than nothing, at most a day; nan and inf are no times."""

    def __init__(self) -> None:
        super().__init__(min=0, max=86400, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds


def option(flag: str, *names: str, envvar: str | None = None, **more: Any) -> Callable[[F], F]:
    """An option that is also an environment variable, BALANCER_MAX_BODY for --max-body, and is
    named by both when its value is refused."""
    variable = envvar or "BALANCER_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, *names, envvar=variable, show_envvar=True, **more)


SECONDS = Seconds()
BYTES = click.IntRange(min=0)


@click.command(context_settings={"show_default": True})
@option("--listen", type=ADDRESS, default="127.0.0.1:8080", help="Where clients come in.")
@option(
    "--backend",
    "backends",
    type=ADDRESS,
    multiple=True,
    required=True,
    envvar="BALANCER_BACKENDS",
    help="A backend; give one option for each.",
)
@option(
    "--admin",
    type=ADDRESS,
    default="127.0.0.1:8082",
    help="Readiness, metrics and backends; keep it on loopback.",
)
@option("--workers", type=click.IntRange(1, MOST_WORKERS), default=1, help="Processes.")
@option("--access-log", default="off", metavar="FILE|off", help="JSON, a line per request.")
@option(
    "--metrics-file",
    type=click.Path(dir_okay=False),
    default="var/run/metrics/balancer",
    help="Shared memory of the workers' counts; totals survive restarts.",
)
@option(
    "--run-dir",
    type=click.Path(file_okay=False),
    default="var/run",
    help="Folder of the lock that stops a second balancer.",
)
@option(
    "--health-path",
    default="/readyz",
    metavar="PATH|off",
    help="What the backends are asked for; off takes them as healthy.",
)
@option("--health-interval", type=SECONDS, default=1.0, help="Seconds between checks.")
@option("--health-timeout", type=SECONDS, default=0.5, help="Seconds a check may take.")
@option(
    "--fall",
    type=click.IntRange(min=1),
    default=2,
    help="Failed checks in a row that take a backend out.",
)
@option(
    "--rise",
    type=click.IntRange(min=1),
    default=2,
    help="Passed checks in a row that bring it back.",
)
@option("--connect-timeout", type=SECONDS, default=0.25, help="Seconds to reach a backend.")
@option(
    "--first-byte-timeout",
    type=SECONDS,
    default=2.5,
    help="Seconds a backend may take to begin its answer; then the other one is tried.",
)
@option(
    "--total-timeout",
    type=SECONDS,
    default=5.0,
    help="Seconds until an answer begins, all attempts together.",
)
@option(
    "--head-timeout",
    type=SECONDS,
    default=10.0,
    help="Seconds a client may take to send a request's head.",
)
@option(
    "--body-timeout",
    type=SECONDS,
    default=30.0,
    help="Seconds a body may stand still, in either direction.",
)
@option(
    "--keepalive-timeout",
    type=SECONDS,
    default=75.0,
    help="Seconds a client's connection may be idle.",
)
@option(
    "--upstream-idle",
    type=SECONDS,
    default=15.0,
    help="Seconds a connection to a backend is kept idle.",
)
@option("--max-head", type=click.IntRange(min=1024), default=16384, help="Bytes of a head.")
@option("--max-fields", type=click.IntRange(min=1), default=100, help="Fields of a head.")
@option("--max-target", type=click.IntRange(min=64), default=8192, help="Bytes of a target.")
@option("--max-body", type=BYTES, default=1048576, help="Bytes of a body; 0 is no limit.")
@option(
    "--max-in-flight",
    type=click.IntRange(min=1),
    default=1024,
    help="Requests at once; more are answered 503 with Retry-After.",
)
@option(
    "--max-replay",
    type=BYTES,
    default=65536,
    help="Bytes of a body that are kept for a second try.",
)
def main(**options: object) -> None:
    """Spread HTTP requests over backends, and keep answering while some of them fail.

    Every option can be given as an environment variable: --max-body as BALANCER_MAX_BODY.
    """
    settings = _settings(options)
    pool = PoolSettings(
        name="balancer",
        host=settings.listen.host,
        port=settings.listen.port,
        workers=int(str(options["workers"])),
        run_dir=Path(str(options["run_dir"])),
        port_variable="BALANCER_PORT",
    )
    sys.exit(
        Pool(
            "balancer.__main__:serve",
            settings=pool,
            arguments=(sys.argv[1:],),
            fresh=("balancer", "monitoring"),
        ).run()
    )


async def serve(worker: Worker, started_with: list[str]) -> None:
    """What the pool runs in every worker: reads the settings anew, then serves.

    Raises BootError for settings that cannot be.
    """
    from .worker import serve as serve_with

    try:
        arguments = own_arguments("balancer", started_with, Path.cwd())
        settings = _settings(main.make_context("balancer", arguments).params)
    except click.ClickException as error:
        raise BootError(error.format_message()) from error
    except (UnreadableCommandError, SettingError, OSError) as error:
        raise BootError(str(error)) from error
    await serve_with(worker, settings)


def _settings(options: dict[str, object]) -> Settings:
    known = {
        name: None if name in ("access_log", "health_path") and value == "off" else value
        for name, value in options.items()
        if name not in ("workers", "run_dir")
    }
    settings = Settings(**known)  # type: ignore[arg-type]
    if len(set(settings.backends)) != len(settings.backends):
        raise click.UsageError("Invalid value for '--backend': the same backend twice")
    if settings.health_path is not None and not re.fullmatch(r"/[!-~]*", settings.health_path):
        raise click.UsageError(
            f"Invalid value for '--health-path': {settings.health_path!r}"
            " must be a path that begins with /, or off"
        )
    return settings


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        print(f"balancer: {error.format_message()}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
