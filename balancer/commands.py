"""`python -m balancer backends`, `drain` and its sisters: talk to a balancer through its admin
port."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

import aiohttp
import click
from click.core import ParameterSource
from rich import box
from rich.markup import escape
from rich.table import Table

from monitoring.terminal import console

from .options import ADDRESS, BackendType, Finite
from .settings import MOST_WEIGHT, Address, Member

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_PAUSE = 0.2
_COLOURS = {"up": "green", "down": "red", "ejected": "red", "full": "yellow"}


class AdminError(Exception):
    """The balancer did not do it; the message is one line for the user."""


def _default_admin() -> str:
    """That of the group's own --admin, else the port the stack is told to use."""
    parent = click.get_current_context().parent
    if parent is not None:
        source = parent.get_parameter_source("admin")
        if source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
            return str(parent.params["admin"])
    return f"127.0.0.1:{os.environ.get('BALANCER_ADMIN_PORT', '8082')}"


ADMIN = click.option(
    "--admin",
    type=ADDRESS,
    default=_default_admin,
    envvar="BALANCER_ADMIN",
    show_envvar=True,
    show_default="127.0.0.1 and BALANCER_ADMIN_PORT or 8082",
    help="The balancer's admin address.",
)
WAIT = click.option(
    "--wait",
    type=Finite(0, 86400),
    default=30.0,
    help="Seconds to wait until its requests in flight are done; 0 does not wait.",
)
BACKEND = click.argument("backend", type=ADDRESS)


@click.command()
@ADMIN
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def backends(admin: Address, as_json: bool) -> None:
    """The backends and how they are."""
    seen = _ask(admin, "GET", "/backends")
    if as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        console().print(_table(seen))


@click.command()
@BACKEND
@WAIT
@ADMIN
def drain(backend: Address, wait: float, admin: Address) -> None:
    """Give a backend nothing new, and wait until it has finished what it has."""
    _ask(admin, "PUT", f"/backends/{backend}", {"draining": True})
    _wait_until_idle(admin, backend, wait, "is drained: nothing is in flight")


@click.command()
@BACKEND
@ADMIN
def undrain(backend: Address, admin: Address) -> None:
    """Give a backend requests again."""
    now = _ask(admin, "PUT", f"/backends/{backend}", {"draining": False})
    click.echo(f"{backend} is {now['state']}")


@click.command()
@click.argument("backend", type=BackendType())
@click.option("--weight", type=click.IntRange(1, MOST_WEIGHT), default=None, help="Its share.")
@ADMIN
def add(backend: Member, weight: int | None, admin: Address) -> None:
    """Have one more backend: 127.0.0.1:3002, or with its weight 127.0.0.1:3002@2. It gets requests
    as soon as it passes a check."""
    fields = {"address": str(backend.address), "weight": weight or backend.weight}
    now = _ask(admin, "POST", "/backends", fields)
    click.echo(f"{backend.address} is added, with weight {now['weight']}")


@click.command()
@BACKEND
@WAIT
@ADMIN
def remove(backend: Address, wait: float, admin: Address) -> None:
    """Drain a backend and forget it."""
    _ask(admin, "DELETE", f"/backends/{backend}")
    _wait_until_idle(admin, backend, wait, "is removed")


@click.command()
@BACKEND
@click.argument("share", type=click.IntRange(1, MOST_WEIGHT))
@ADMIN
def weight(backend: Address, share: int, admin: Address) -> None:
    """Give a backend another share of the requests."""
    now = _ask(admin, "PUT", f"/backends/{backend}", {"weight": share})
    click.echo(f"{backend} has weight {now['weight']}")


@click.command()
@ADMIN
def reset(admin: Address) -> None:
    """Forget every change: have the backends that the settings state."""
    now = _ask(admin, "DELETE", "/changes")
    stated = [one for one in now["backends"] if one["configured"]]
    click.echo("; ".join(f"{one['address']} weight {one['weight']}" for one in stated))


COMMANDS = (backends, drain, undrain, add, remove, weight, reset)


def _ask(
    admin: Address, method: str, path: str, fields: dict[str, Any] | None = None
) -> dict[str, Any]:
    return asyncio.run(_asked(admin, method, path, fields))


async def _asked(
    admin: Address, method: str, path: str, fields: dict[str, Any] | None
) -> dict[str, Any]:
    """Raises AdminError."""
    url = f"http://{admin}{path}"
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, url, json=fields) as response,
        ):
            answer = await response.json()
            if response.status < 400:
                return dict(answer)
            raise AdminError(answer.get("error", f"{url} answered {response.status}"))
    except aiohttp.ClientConnectorError:
        raise AdminError(
            f"no balancer answers at {admin}; `make up` starts the stack, --admin or"
            " BALANCER_ADMIN_PORT says where else to look"
        ) from None
    except (aiohttp.ClientError, TimeoutError, ValueError, AttributeError) as error:
        what = str(error) or type(error).__name__
        raise AdminError(f"what answers at {admin} is no balancer: {what}") from None


def _wait_until_idle(admin: Address, backend: Address, seconds: float, done: str) -> None:
    """Say when nothing is in flight any more. Raises AdminError when that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        seen = _ask(admin, "GET", "/backends")["backends"]
        found = [one for one in seen if one["address"] == str(backend)]
        if not found or (not found[0]["in_flight"] and not found[0]["removing"]):
            click.echo(f"{backend} {done}")
            return
        busy = f"{backend} drains, {found[0]['in_flight']} in flight"
        if not seconds:
            click.echo(busy)
            return
        if time.monotonic() > deadline:
            raise AdminError(f"{busy} after {seconds:g} s; it goes on draining")
        time.sleep(_PAUSE)


def _table(seen: dict[str, Any]) -> Table:
    who = f"as worker {seen['worker']} of {seen['workers']} sees them" * (seen["workers"] > 1)
    table = Table(
        title=f"backends, {seen['policy']} {who}".rstrip(),
        caption=escape(seen["problem"] or ""),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for column in ("backend", "state", "weight", "in flight", "connections", "changed by hand"):
        right = column in ("weight", "in flight", "connections")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for one in seen["backends"]:
        colour = _COLOURS.get(one["state"], "yellow")
        left = f" {one['ejected_seconds_left']:.0f} s" if one["ejected"] else ""
        table.add_row(
            escape(one["address"]),
            f"[{colour}]{one['state']}[/]{left}",
            str(one["weight"]),
            str(one["in_flight"]),
            str(one["connections"]),
            escape(one["changed"] or "-"),
        )
    return table
