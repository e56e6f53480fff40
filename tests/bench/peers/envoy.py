"""Envoy, one worker thread."""

from __future__ import annotations

import json

from ..asking import answers
from ..bench import Bench, free_port
from . import Contender

_TYPES = "type.googleapis.com/envoy.extensions"


def start(bench: Bench, backend: int) -> Contender:
    """Raises MissingProgramError."""
    envoy, port = bench.program("envoy"), free_port()
    log = bench.folder / "envoy.log"
    configuration = bench.folder / "envoy.json"
    configuration.write_text(json.dumps(_configuration(port, backend, str(log))))
    command = [
        envoy, "-c", configuration, "--concurrency", "1", "-l", "error", "--disable-hot-restart",
    ]  # fmt: skip
    program = bench.start("envoy", command, cpus=bench.cores.measured)
    program.wait_until(answers(port, "/100B"))
    return Contender("Envoy", port, (program.tree,), log)


def _configuration(port: int, backend: int, log: str) -> dict[str, object]:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": True,  # adds X-Forwarded-For
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
                    "path": log,
                },
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    name = "envoy.filters.network.http_connection_manager"
    filters = [{"name": name, "typed_config": manager}]
    listener = {"address": _address(port), "filter_chains": [{"filters": filters}]}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(backend)}}]}]
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "load_assignment": {"cluster_name": "backend", "endpoints": endpoints},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
