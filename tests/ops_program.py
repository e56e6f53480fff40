"""A program for supervisord to run in tests: answers /readyz, or dies, as it is told."""

from __future__ import annotations

import argparse
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--ready-after", type=float, default=0.0)
    parser.add_argument("--say", default="hello")
    parser.add_argument("--show", help="environment variable to print")
    parser.add_argument("--die", type=int, help="exit with this code at once")
    parser.add_argument("--needs", type=Path, help="dies while this file is absent")
    options = parser.parse_args()
    print(options.say, flush=True)
    if options.show:
        print(f"{options.show}={os.environ.get(options.show)}", flush=True)
    if options.die is not None:
        sys.exit(options.die)
    if options.needs is not None and not options.needs.exists():
        sys.exit(3)
    if options.port is None:
        time.sleep(600)
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ready = time.monotonic() - began >= options.ready_after
            self.send_response(200 if ready else 503)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
