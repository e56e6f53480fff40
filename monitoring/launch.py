"""`python -m monitoring.launch NAME …`: find a server on this machine and become it.

supervisord.conf calls this for every server that is not Python. The process is replaced, so
supervisord watches the server itself. Nothing is ever downloaded here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from .installation import command_lines
from .installation.command_lines import CommandLine, GrafanaPaths
from .installation.servers import SERVERS, find, missing
from .option_types import Number
from .scheduling import yield_to_who_computes
from .stack.project import StackError, open_project
from .topology import SettingError, relocate

# supervisord calls what ends within startsecs (1 s) a failed start, whatever its exit code:
# an optional server that is not installed must live a little longer to be EXITED, not FATAL.
LINGER_SECONDS = 1.5
# As prometheus.yml names it, from its own folder.
REDIS_TARGETS = "../../var/run/prometheus/redis.json"
_MOVED = Path("var/run/moved")  # copies of configurations, with moved ports


class NamedUrl(click.ParamType[tuple[str, str]]):
    """NAME=redis://HOST:PORT"""

    name = "NAME=URL"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        found = re.fullmatch(r"([\w-]+)=(rediss?://[^\s/]+)", str(value))
        if found is None:
            self.fail(f"{value!r} is not NAME=redis://HOST:PORT", param, ctx)
        return found[1], found[2]


_configuration = click.argument(
    "configuration", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
_port = click.option(
    "--port", type=Number(1, 65535, whole=True), required=True, help="Listens here."
)
_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), required=True, help="Its folder."
)


@click.group(context_settings={"max_content_width": 100})
def launch() -> None:
    """Become a server that is installed on this machine (where it is looked for:
    monitoring/installation/servers.py)."""


@launch.command("redis-server")
@_configuration
@_port
@_data
@click.option(
    "--fsync",
    type=click.Choice(["everysec", "always"]),
    envvar="REDIS_FSYNC",
    show_envvar=True,
    show_default="as in the configuration, everysec",
    help="When writes are flushed to the disk itself: a power failure may take about the last"
    " 2 seconds, or nothing, for a disk write before each batch of answers.",
)
def redis_server(configuration: Path, port: int, data: Path, fsync: str | None) -> None:
    """One shard."""
    binary = _find("redis-server")
    yield_to_who_computes()
    data = _folder(data)
    _become(
        command_lines.redis_server(
            binary, configuration.absolute(), port=port, data=data, fsync=fsync
        )
    )


@launch.command()
@_configuration
def nginx(configuration: Path) -> None:
    """The balancer's twin. Ports come from supervisord.conf."""
    binary = _find("nginx")
    _folder(Path("var/run"))
    _folder(Path("var/log"))
    _become(command_lines.nginx(binary, relocated(configuration).absolute(), Path.cwd()))


@launch.command()
@_configuration
@_port
@_data
@click.option("--retention", default="2d", show_default=True, help="How long samples are kept.")
def prometheus(configuration: Path, port: int, data: Path, retention: str) -> None:
    """Scrapes everybody. The targets' ports come from supervisord.conf."""
    binary = _find("prometheus")
    said = subprocess.run(
        (binary, "--version"), capture_output=True, text=True, timeout=30, check=False
    )
    major = command_lines.major_version(said.stdout + said.stderr)
    data = _folder(data / f"v{major}")
    _folder(redis_targets_file(configuration).parent)  # a file that comes there later is noticed
    configuration = relocated(configuration)
    _become(
        command_lines.prometheus(binary, configuration, port=port, data=data, retention=retention)
    )


@launch.command("redis-exporter")
@_configuration
@_port
@click.option(
    "--shard", "shards", type=NamedUrl(), multiple=True, required=True, help="One for each shard."
)
def redis_exporter(configuration: Path, port: int, shards: tuple[tuple[str, str], ...]) -> None:
    """What Redis says of itself, for the Prometheus that runs with CONFIGURATION. Only where it is
    installed has Prometheus something to scrape."""
    targets = redis_targets_file(configuration)
    targets.unlink(missing_ok=True)
    binary = _find("redis_exporter")
    _folder(targets.parent)
    written = targets.with_suffix(".new")
    written.write_text(json.dumps(command_lines.redis_targets(dict(shards), port=port)))
    written.rename(targets)  # Prometheus reads it whenever it changes
    _become(command_lines.redis_exporter(binary, port=port))


@launch.command()
@_configuration
@_port
@_data
@click.option("--prometheus", "url", required=True, help="URL of its data source.")
@click.option(
    "--home",
    envvar="GRAFANA_HOME",
    show_envvar=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Grafana's installation; default: found from its executable.",
)
def grafana(configuration: Path, port: int, data: Path, url: str, home: Path | None) -> None:
    """Dashboards, ready on the first start."""
    if home is None:
        home = _grafana_home(_find("grafana"))
    binary = home / "bin" / "grafana"  # what packages put into PATH may be a wrapper of their own
    if not binary.exists():
        binary = home / "bin" / "grafana-server"  # older than version 9
    paths = GrafanaPaths(
        home=home,
        configuration=configuration.absolute(),
        data=_folder(data),
        log=_folder(Path("var/log/grafana")),
    )
    _become(command_lines.grafana(binary, paths, port=port, prometheus_url=url))


def relocated(configuration: Path) -> Path:
    """The configuration itself, or a copy under var/run when ports are moved.

    Files of the same kind beside and below it are copied too: it may name them by relative path.
    """
    moves = _moves()
    if not moves:
        return configuration
    folder = _MOVED / configuration.parent
    for source in configuration.parent.rglob(f"*{configuration.suffix}"):
        copy = folder / source.relative_to(configuration.parent)
        _folder(copy.parent)
        copy.write_text(relocate(source.read_text(), moves))
    return folder / configuration.name


def redis_targets_file(configuration: Path) -> Path:
    """Where a Prometheus with this configuration, or with a copy of it, looks for Redis."""
    folder = (_MOVED if _moves() else Path()) / configuration.parent
    return Path(os.path.normpath(folder / REDIS_TARGETS))


def _moves() -> Mapping[int, int]:
    return open_project(Path.cwd(), os.environ).topology.moves


def _find(name: str) -> Path:
    server = SERVERS[name]
    binary = find(server, os.environ, Path("var/tools"))
    if binary is not None:
        return binary
    if server.required:
        raise StackError(missing(server))
    click.echo(f"{missing(server)}. Everything else runs without it.")
    time.sleep(LINGER_SECONDS)
    sys.exit(0)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path.absolute()


def _grafana_home(binary: Path) -> Path:
    """Its folder has `conf/defaults.ini`; the packages put the program elsewhere."""
    real = binary.resolve()
    for home in (real.parent.parent, Path("/usr/share/grafana"), Path("/usr/local/share/grafana")):
        if (home / "conf" / "defaults.ini").is_file():
            return home
    raise StackError(f"no Grafana installation belongs to {binary}: name it with GRAFANA_HOME")


def _become(line: CommandLine) -> None:
    sys.stdout.flush()
    os.execve(line.arguments[0], line.arguments, {**os.environ, **line.environ})  # noqa: S606


if __name__ == "__main__":
    try:
        launch(prog_name="python -m monitoring.launch")
    except (StackError, SettingError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
