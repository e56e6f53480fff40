"""How each server that is not Python is started: its arguments and its environment.

Pure; paths go in and out as they are, relative ones from the project's folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class CommandLine:
    """`arguments` begins with the program itself; `environ` is added to the caller's."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


def redis_server(
    binary: Path, configuration: Path, *, port: int, data: Path, fsync: str | None = None
) -> CommandLine:
    """`fsync`: overrides `appendfsync` of the configuration."""
    flush = () if fsync is None else ("--appendfsync", fsync)
    return CommandLine(
        (str(binary), str(configuration), "--port", str(port), "--dir", str(data), *flush),
    )


def nginx(binary: Path, configuration: Path, root: Path) -> CommandLine:
    """In the foreground, with every relative path of the configuration under `root`.

    `-e stderr`: the packaged binary would first try a log only root may write.
    """
    return CommandLine(
        (
            *(str(binary), "-p", f"{root}/", "-c", str(configuration)),
            *("-e", "stderr", "-g", "daemon off;"),
        )
    )


def prometheus(
    binary: Path, configuration: Path, *, port: int, data: Path, retention: str
) -> CommandLine:
    """`data` must be this major version's own folder: version 2 cannot read what 3 wrote.

    Reload with SIGHUP; the HTTP life-cycle calls stay off, any web page could make them.
    """
    return CommandLine(
        (
            str(binary),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={retention}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
    )


def redis_exporter(binary: Path, *, port: int) -> CommandLine:
    """One for all shards: which of them is asked stands in each scrape's `target`.

    It answers within a second though a shard hangs; Prometheus waits for 5.
    """
    return CommandLine(
        (
            str(binary),
            *("-redis.addr=", "-redis-only-metrics", "-connection-timeout=1s"),
            f"-web.listen-address=127.0.0.1:{port}",
        )
    )


def redis_targets(shards: Mapping[str, str], *, port: int) -> list[dict[str, object]]:
    """What Prometheus is to scrape, in the form of its `file_sd_configs`.

    Args:
        shards: URL by name; the name becomes `instance`.
        port: the exporter's.
    """
    return [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {
                "instance": name,
                "__metrics_path__": "/scrape",
                "__param_target": url,
            },
        }
        for name, url in shards.items()
    ]


def major_version(said: str) -> str:
    """`3` from `prometheus, version 3.11.3 (branch: …`; `unknown` when it says nothing like it."""
    match = re.search(r"\bversion v?(\d+)\.", said)
    return match[1] if match else "unknown"


@dataclass(frozen=True)
class GrafanaPaths:
    """Where Grafana's own files, ours and its data lie."""

    home: Path
    configuration: Path
    data: Path
    log: Path


def grafana(binary: Path, paths: GrafanaPaths, *, port: int, prometheus_url: str) -> CommandLine:
    """`paths.configuration` lies beside the folders `provisioning` and `dashboards`.

    STACK_DASHBOARDS and STACK_PROMETHEUS_URL are filled into the provisioning files by Grafana.
    """
    ours = paths.configuration.parent
    command = () if binary.name == "grafana-server" else ("server",)
    return CommandLine(
        (
            *(str(binary), *command),
            *("--homepath", str(paths.home), "--config", str(paths.configuration)),
        ),
        {
            "GF_PATHS_DATA": str(paths.data),
            "GF_PATHS_LOGS": str(paths.log),
            "GF_PATHS_PLUGINS": str(paths.data / "plugins"),
            "GF_PATHS_PROVISIONING": str(ours / "provisioning"),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(port),
            "STACK_DASHBOARDS": str(ours / "dashboards"),
            "STACK_PROMETHEUS_URL": prometheus_url,
        },
    )
