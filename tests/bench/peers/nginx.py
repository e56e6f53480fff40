"""NGINX as a proxy: keep-alive on both sides, logged in batches as ours does. Buffering stays on:
it is the default, and measured faster than `proxy_buffering off` for every size of answer."""

from __future__ import annotations

from ..asking import answers
from ..bench import Bench, free_port
from . import Contender

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log {log} combined buffer=64k flush=1s;
    keepalive_requests 1000000000;
    client_max_body_size 1m;
    client_body_buffer_size 64k;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


def start(bench: Bench, backend: int) -> Contender:
    """Raises MissingProgramError."""
    nginx = bench.program("nginx")
    folder, port = bench.folder / "nginx", free_port()
    folder.mkdir()
    log = folder / "access.log"
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, log=log, backend=backend, port=port)
    )
    command = [nginx, "-p", folder, "-c", configuration]
    program = bench.start("nginx", command, cpus=bench.cores.measured)
    program.wait_until(answers(port, "/100B"))
    return Contender("NGINX", port, (program.tree,), log)
