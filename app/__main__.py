"""`python -m app`: one instance of the service, a pool of workers behind one address.

The parent reads settings and starts workers; what speaks HTTP is imported in them, after the
fork (`app/worker.py`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from monitoring.option_types import Number
from monitoring.own_arguments import UnreadableCommandError, own_arguments
from monitoring.scheduling import yield_to_who_computes
from monitoring.topology import SettingError
from shards import StoreSettings
from workers import MOST_WORKERS, BootError, Pool, PoolSettings, Recycling, Worker, cpu_count

from . import files, otel
from .arguments import ADDRESS, FILE_OR_OFF, HTTP_URL, NAME, STORE_URLS, option
from .policy_options import call_policy, limit_policy, policy_options
from .settings import RECORD_LIMIT, Settings, UpstreamSettings

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
SECONDS = Number(0, 3600)
AGE = Number(0, 100 * 365 * 86400)  # a century
COUNT = Number(0, 2**53, whole=True)


@click.command(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    }
)
@option("--name", type=NAME, required=True, help="Names this instance, e.g. app1.")
@option("--listen", type=ADDRESS, required=True, help="Address to serve on.")
@option(
    "--workers",
    type=Number(1, MOST_WORKERS, whole=True),
    default=lambda: min(cpu_count(), MOST_WORKERS),
    show_default="one per CPU",
    help="Worker processes.",
)
@option("--upstream", type=HTTP_URL, required=True, help="The external service, asked by GET.")
@policy_options
@option(
    "--upstream-connections",
    type=Number(1, 4096, whole=True),
    default=256,
    help="Connections to the external service, at most, of each worker.",
)
@option(
    "--store",
    type=STORE_URLS,
    required=True,
    envvar="STORE_URL",
    help="Redis servers that share the records: redis://HOST:PORT,...",
)
@option(
    "--store-copies",
    type=Number(1, 64, whole=True),
    default=None,
    show_default="2, with one server 1",
    envvar="STORE_COPIES",
    help="Servers each record is written to.",
)
@option(
    "--store-ttl",
    type=AGE,
    default=86400.0,
    envvar="STORE_TTL",
    help="Seconds after which a record expires, 0 = never.",
)
@option(
    "--ids-file",
    type=FILE,
    default=Path("var/ids"),
    help="Makes ids unique: shared by all instances that write to one store.",
)
@option(
    "--metrics-dir",
    type=FOLDER,
    default=Path("var/run/metrics/app"),
    help="Where instances keep their counters: shared by those behind one front door.",
)
@option("--run-dir", type=FOLDER, default=Path("var/run"), help="For the lock on the name.")
@option(
    "--upstream-file",
    type=FILE,
    default=Path("var/run/upstream"),
    help="What all workers of all instances know of the service: shared by those that ask it.",
)
@option("--access-log", type=FILE_OR_OFF, default="off", help="One JSON line per request.")
@option(
    "--otlp-endpoint",
    type=HTTP_URL,
    envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
    show_default="spans are sent to nobody",
    help="Collector of OpenTelemetry spans (OTLP by HTTP); needs the extra `otel`.",
)
@option(
    "--recycle-requests",
    type=COUNT,
    default=0,
    help="Requests after which a worker is replaced, 0 = never.",
)
@option(
    "--recycle-age",
    type=AGE,
    default=0.0,
    help="Seconds after which a worker is replaced, 0 = never.",
)
@option(
    "--recycle-mib",
    type=COUNT,
    default=0,
    help="Memory (MiB) above which a worker is replaced, 0 = never.",
)
@option("--keepalive", type=SECONDS, default=75.0, help="Seconds an idle connection is kept.")
@option("--drain", type=SECONDS, default=25.0, help="Seconds for requests in flight after SIGTERM.")
@option(
    "--nice",
    type=click.IntRange(0, 19),
    default=10,
    help="How far the workers yield the CPUs to the balancer and the shards: under more load than"
    " the machine can carry, the front door must still be able to refuse what is too much.",
)
def main(**options: Any) -> None:
    """Answers with data of an external service that may fail, and keeps every answer.

    `python -m app explain` says what the settings of the external call do here.
    """
    name = options["name"]
    host, port = options["listen"]
    settings = _settings(options)
    files.check(settings)
    if settings.otlp_endpoint and not otel.is_installed():
        print(f"app: {otel.not_installed()}", file=sys.stderr)
    yield_to_who_computes()
    os.nice(options["nice"])
    pool = PoolSettings(
        name=name,
        host=host,
        port=port,
        workers=options["workers"],
        run_dir=options["run_dir"],
        port_variable=f"{name.upper().replace('-', '_')}_PORT",
        drain_seconds=options["drain"],
        recycling=Recycling(
            requests=options["recycle_requests"],
            age=options["recycle_age"],
            rss=options["recycle_mib"] << 20,
        ),
    )
    sys.exit(
        Pool(
            "app.__main__:serve",
            settings=pool,
            arguments=(sys.argv[1:],),
            fresh=("app", "monitoring", "shards"),
        ).run()
    )


async def serve(worker: Worker, started_with: list[str]) -> None:
    """What the pool runs in every worker: reads the settings anew, then serves.

    Raises BootError for settings that cannot be.
    """
    from .worker import serve as serve_with

    try:
        arguments = own_arguments("app", started_with, Path.cwd())
        settings = _settings(main.make_context("app", arguments).params)
    except click.ClickException as error:
        raise BootError(error.format_message()) from error
    except (UnreadableCommandError, SettingError, OSError) as error:
        raise BootError(str(error)) from error
    await serve_with(worker, settings)


def _settings(options: dict[str, Any]) -> Settings:
    try:
        store = StoreSettings(
            urls=options["store"],
            copies=options["store_copies"],
            ttl_seconds=options["store_ttl"],
            value_limit_bytes=RECORD_LIMIT,
        )
    except ValueError as error:
        name = "copies" if str(error).startswith("copies") else "ttl"
        where = f"'--store-{name}' (env var: 'STORE_{name.upper()}')"
        raise click.UsageError(f"Invalid value for {where}: {error}") from error
    return Settings(
        name=options["name"],
        store=store,
        upstream=UpstreamSettings(
            url=options["upstream"],
            policy=call_policy(options),
            connections=options["upstream_connections"],
        ),
        ids_file=options["ids_file"],
        metrics_dir=options["metrics_dir"],
        board_file=options["upstream_file"],
        limit=limit_policy(options),
        access_log=options["access_log"],
        otlp_endpoint=options["otlp_endpoint"],
        keepalive_seconds=options["keepalive"],
    )


def run() -> int:
    """`main`, or `explain`, with a wrong setting told in one line. Returns the exit code."""
    try:
        if sys.argv[1:2] == ["explain"]:
            from .explain_command import explain

            explain(sys.argv[2:], prog_name="python -m app explain", standalone_mode=False)
        else:
            main(prog_name="python -m app", standalone_mode=False)
    except click.ClickException as error:
        print(f"app: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except files.UnusableFileError as error:
        print(f"app: {error}", file=sys.stderr)
        return 1
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
