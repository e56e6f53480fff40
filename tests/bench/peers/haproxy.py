"""HAProxy, one thread. It logs to files only through its standard output."""

from __future__ import annotations

from ..asking import answers
from ..bench import Bench, free_port
from . import Contender

_CONFIGURATION = """
global
    nbthread 1
    maxconn 4096
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option forwardfor
    option http-keep-alive
    http-reuse always
    timeout connect 250ms
    timeout client 75s
    timeout server 30s
listen front
    bind 127.0.0.1:{port} backlog 4096
    server backend 127.0.0.1:{backend} maxconn 1024
"""


def start(bench: Bench, backend: int) -> Contender:
    """Raises MissingProgramError."""
    haproxy, port = bench.program("haproxy"), free_port()
    configuration = bench.folder / "haproxy.cfg"
    configuration.write_text(_CONFIGURATION.format(port=port, backend=backend))
    command = [haproxy, "-db", "-f", configuration]
    program = bench.start("haproxy", command, cpus=bench.cores.measured)
    program.wait_until(answers(port, "/100B"))
    return Contender("HAProxy", port, (program.tree,), bench.folder / "haproxy.out")
