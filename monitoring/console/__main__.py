"""`python -m monitoring.console`: the live page, a program of its own.

It reads supervisord's socket and asks every program itself, so it works while any of them is
down, the balancer and supervisord included.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click
from aiohttp import web

from ..stack.project import StackError, open_project
from ..topology import SettingError
from .site import application


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT."""

    name = "HOST:PORT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
            self.fail(f"{value!r} is not HOST:PORT with a port from 1 to 65535", param, ctx)
        return host.strip("[]"), int(port)


@click.command(context_settings={"max_content_width": 100})
@click.option(
    "--listen", envvar="CONSOLE_LISTEN", show_envvar=True, default="127.0.0.1:8081",
    show_default=True, type=Address(), help="Where the page is.",
)  # fmt: skip
def main(listen: tuple[str, int]) -> None:
    """The live page of the stack in the current folder."""
    host, port = listen
    project = open_project(Path.cwd(), os.environ)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise StackError(
            f"console cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}): "
            "CONSOLE_PORT moves it"
        ) from None
    click.echo(f"console on http://{host}:{port}/")
    web.run_app(application(project), sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    try:
        main(prog_name="python -m monitoring.console")
    except (StackError, SettingError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
