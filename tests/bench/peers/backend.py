"""The backend behind every proxy, and the external service behind every app: NGINX with answers
that cost it next to nothing, so that it is never the slow part."""

from __future__ import annotations

import os

from ..asking import answers, get
from ..bench import Bench, free_port
from ..processes import ProgramError
from . import Contender

SMALL = "x" * 100
_SIZES = {"/100B": 100, "/10kB": 10_000, "/1MB": 1_000_000}
DATA = '{"timestamp":1795387544418,"message":"External service OK"}'

_CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid {folder}/backend.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    open_file_cache max=10;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /100B {{ return 200 "{small}"; }}
        location = /upload {{ return 200 "{small}"; }}
        location = /data {{ default_type application/json; return 200 '{data}'; }}
        location = /seen {{ return 200 "$http_x_forwarded_for|$connection|$connection_requests"; }}
        location / {{ root {folder}/files; }}
    }}
}}
"""


def start(bench: Bench) -> Contender:
    """Paths: /100B, /10kB, /1MB, /upload, /data, and /seen, which tells what reached it.

    Raises MissingProgramError without NGINX.
    """
    nginx = bench.program("nginx")
    folder, port = bench.folder / "backend", free_port()
    (folder / "files").mkdir(parents=True)
    for path, size in _SIZES.items():
        (folder / "files" / path.lstrip("/")).write_text("x" * size)
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else it could not read what root wrote
    configuration.write_text(
        _CONFIGURATION.format(user=user, folder=folder, port=port, small=SMALL, data=DATA)
    )
    command = [nginx, "-p", folder, "-c", configuration]
    program = bench.start("backend", command, cpus=bench.cores.backends)
    program.wait_until(answers(port, "/100B"))
    for path, size in _SIZES.items():
        status, body = get(port, path)
        if status != 200 or len(body) != size:
            raise ProgramError(f"the backend answers {path} with {status} and {len(body)} bytes")
    return Contender("direct", port, (program.tree,))
