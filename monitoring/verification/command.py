"""`python -m monitoring verify-grafana`. Composition."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..option_types import Number
from ..stack.doctor import print_findings
from ..stack.finding import Finding
from ..stack.project import StackError, open_running
from ..terminal import console
from .grafana_api import GrafanaApi
from .verify import verify


def _base_url(_ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise click.BadParameter(f"{value!r} is not http://HOST:PORT", param=param)
    return value


def _without_colon(_ctx: click.Context, param: click.Parameter, value: str) -> str:
    if ":" in value:
        raise click.BadParameter(f"{value!r}: HTTP allows no colon in a name", param=param)
    return value


@click.command("verify-grafana")
@click.option(
    "--url", envvar="GRAFANA_URL", show_envvar=True, callback=_base_url,
    show_default="this stack's", help="Where Grafana is.",
)  # fmt: skip
@click.option(
    "--user", envvar="GF_SECURITY_ADMIN_USER", show_envvar=True, default="admin",
    show_default=True, callback=_without_colon, help="Who asks: may read data sources.",
)  # fmt: skip
@click.option(
    "--password", envvar="GF_SECURITY_ADMIN_PASSWORD", show_envvar=True, default="admin",
    show_default=True, help="Better given as the variable: others see options.",
)  # fmt: skip
@click.option(
    "--minutes", type=Number(0.5, 24 * 60), default=5.0, show_default=True,
    help="How far each panel looks back.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def verify_grafana(
    url: str | None, user: str, password: str, minutes: float, as_json: bool
) -> None:
    """Whether a running Grafana shows what it should: health, data source, dashboards, and a
    query per panel. Changes nothing.

    Exit code 0: it does, though there may be notes (a panel without data yet); 1: it does not.
    """
    findings = asyncio.run(_look(url or _of_the_stack(), user, password, minutes))
    well = all(finding.gravity != "problem" for finding in findings)
    if as_json:
        told = {"ok": well, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(told, indent=2))
    else:
        print_findings(findings, console(), well="Grafana shows what it should.")
    sys.exit(0 if well else 1)


def _of_the_stack() -> str:
    project, _pid = open_running(Path.cwd(), os.environ)
    try:
        url = project.topology["grafana"].url
    except KeyError:
        url = None
    if url is None:
        raise StackError("supervisord.conf has no grafana with a stack_url: give --url")
    return url


async def _look(url: str, user: str, password: str, minutes: float) -> list[Finding]:
    async with GrafanaApi(url, user, password) as api:
        return [finding async for finding in verify(api, minutes)]
