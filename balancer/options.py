"""Options of the balancer's command line, each also an environment variable.

A value that cannot be is refused in one line which names the option, the variable, the value and
what is allowed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from workers import MOST_WORKERS

from .forwarding import Network, parse_network
from .settings import Address, Member, Policy, Settings

F = TypeVar("F", bound=Callable[..., Any])
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound


class AddressType(click.ParamType[Address]):
    """`HOST:PORT`."""

    name = "host:port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        if isinstance(value, Address):
            return value
        try:
            return Address.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class BackendType(click.ParamType[Member]):
    """`HOST:PORT` or `HOST:PORT@WEIGHT`; several in one variable are separated by commas."""

    name = "host:port[@weight]"
    envvar_list_splitter = ","

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Member:
        if isinstance(value, Member):
            return value
        try:
            return Member.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NetworkType(click.ParamType[Network]):
    """`10.0.0.0/8` or an address; several in one variable are separated by commas."""

    name = "network"
    envvar_list_splitter = ","

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Network:
        if isinstance(value, IPv4Network | IPv6Network):
            return value
        try:
            return parse_network(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PathOrOff(click.ParamType[str]):
    """A path that begins with a slash, or `off`."""

    name = "path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        if text != "off" and not re.fullmatch(r"/[!-~]*", text):
            self.fail(f"{text!r} is neither a path that begins with / nor off", param, ctx)
        return text


class Finite(click.FloatRange):
    """A number in a range; nan and inf are none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number {self._describe_range()}", param, ctx)
        return number


def option(flag: str, *names: str, envvar: str | None = None, **more: Any) -> Callable[[F], F]:
    """An option that is also an environment variable, BALANCER_MAX_BODY for --max-body, and is
    named by both when its value is refused."""
    variable = (
        envvar or "BALANCER_" + flag.partition("/")[0].removeprefix("--").replace("-", "_").upper()
    )
    return click.option(flag, *names, envvar=variable, show_envvar=True, **more)


ADDRESS = AddressType()
SECONDS = Finite(min=0, max=86400, min_open=True)  # at most a day
BYTES = click.IntRange(min=0)


OPTIONS = (
    option("--listen", type=ADDRESS, default="127.0.0.1:8080", help="Where clients come in."),
    option(
        "--backend",
        "backends",
        type=BackendType(),
        multiple=True,
        envvar="BALANCER_BACKENDS",
        help="A backend, 127.0.0.1:3000 or with its weight (1 to 100) 127.0.0.1:3000@2; give one"
        " option for each. Needed to serve.",
    ),
    option(
        "--admin",
        type=ADDRESS,
        default="127.0.0.1:8082",
        help="Readiness, metrics and backends; changes are taken from this machine only.",
    ),
    option(
        "--policy",
        type=click.Choice(get_args(Policy)),
        default="round-robin",
        help="In turn by weight, or the one of two random backends with fewer requests in flight.",
    ),
    option("--workers", type=click.IntRange(1, MOST_WORKERS), default=1, help="Processes."),
    option(
        "--compiled/--interpreted",
        default=True,
        help="Serve with the compiled request path, if `make compile` has made one of these"
        " sources.",
    ),
    option("--access-log", default="off", metavar="FILE|off", help="JSON, a line per request."),
    option(
        "--metrics-file",
        type=click.Path(dir_okay=False),
        default="var/run/metrics/balancer",
        help="Shared memory of the workers' counts; totals survive restarts.",
    ),
    option(
        "--run-dir",
        type=click.Path(file_okay=False),
        default="var/run",
        help="Folder of the lock that stops a second balancer, and of changes to the backends.",
    ),
    option(
        "--health-path",
        type=PathOrOff(),
        default="/readyz",
        metavar="PATH|off",
        help="What the backends are asked for; off takes them as healthy.",
    ),
    option("--health-interval", type=SECONDS, default=1.0, help="Seconds between checks."),
    option("--health-timeout", type=SECONDS, default=0.5, help="Seconds a check may take."),
    option(
        "--fall",
        type=click.IntRange(min=1),
        default=2,
        help="Failed checks in a row that take a backend out.",
    ),
    option(
        "--rise",
        type=click.IntRange(min=1),
        default=2,
        help="Passed checks in a row that bring it back.",
    ),
    option(
        "--eject-after",
        type=click.IntRange(min=0),
        default=5,
        help="Failed requests in a row, or half of at least 20 in 10 s, that take a backend out;"
        " 0 is never.",
    ),
    option(
        "--eject-seconds",
        type=SECONDS,
        default=5.0,
        help="For how long, the first time; the n-th time n times as long, at most 60 s.",
    ),
    option(
        "--retry-ratio",
        type=Finite(0, 1),
        default=0.2,
        help="Retries for each request, over ten seconds and per worker.",
    ),
    option(
        "--retry-floor",
        type=Finite(0, 1000),
        default=3.0,
        help="Retries a second that are allowed on top, so that a quiet service has some.",
    ),
    option("--connect-timeout", type=SECONDS, default=0.25, help="Seconds to reach a backend."),
    option(
        "--first-byte-timeout",
        type=SECONDS,
        default=2.5,
        help="Seconds a backend may take to begin its answer; then the other one is tried.",
    ),
    option(
        "--total-timeout",
        type=SECONDS,
        default=5.0,
        help="Seconds until an answer begins, all attempts together.",
    ),
    option(
        "--head-timeout",
        type=SECONDS,
        default=10.0,
        help="Seconds a client may take to send a request's head.",
    ),
    option(
        "--body-timeout",
        type=SECONDS,
        default=30.0,
        help="Seconds a body may stand still, in either direction; for an answer that is"
        " text/event-stream --tunnel-idle holds.",
    ),
    option(
        "--keepalive-timeout",
        type=SECONDS,
        default=75.0,
        help="Seconds a client's connection may be idle.",
    ),
    option(
        "--upstream-idle",
        type=SECONDS,
        default=15.0,
        help="Seconds a connection to a backend is kept idle.",
    ),
    option(
        "--tunnel-idle",
        type=SECONDS,
        default=300.0,
        help="Seconds a WebSocket or a stream of events on which nothing moves is kept.",
    ),
    option(
        "--min-rate",
        type=BYTES,
        default=500,
        help="Bytes a second that a body must move, over --body-timeout, or who holds it up is cut"
        " off; 0 asks nothing.",
    ),
    option(
        "--trusted-proxies",
        type=NetworkType(),
        multiple=True,
        help="Networks, 10.0.0.0/8, whose X-Forwarded-For, -Proto and -Host are believed.",
    ),
    option(
        "--proxy-protocol/--no-proxy-protocol",
        default=False,
        help="Clients come through a proxy that tells their address by the PROXY protocol, 1 or 2;"
        " a connection without it is closed.",
    ),
    option("--max-head", type=click.IntRange(min=1024), default=16384, help="Bytes of a head."),
    option("--max-fields", type=click.IntRange(min=1), default=100, help="Fields of a head."),
    option("--max-target", type=click.IntRange(min=64), default=8192, help="Bytes of a target."),
    option("--max-body", type=BYTES, default=1048576, help="Bytes of a body; 0 is no limit."),
    option(
        "--max-in-flight",
        type=click.IntRange(min=1),
        default=2048,
        help="Requests at once in a worker; more are answered 503 with Retry-After.",
    ),
    option(
        "--backend-max-in-flight",
        type=click.IntRange(min=1),
        default=1024,
        help="Requests at once at one backend; when all have so many, 503 with Retry-After.",
    ),
    option(
        "--max-connections",
        type=click.IntRange(min=1),
        default=16384,
        help="Clients' connections at once in a worker, as far as descriptors go (ulimit -n);"
        " more are answered 503 and closed.",
    ),
    option(
        "--max-replay",
        type=BYTES,
        default=65536,
        help="Bytes of a body that are kept for a second try.",
    ),
)


def serving_options(command: F) -> F:
    """Give a command all options of serving, in their order."""
    for decorate in reversed(OPTIONS):
        command = decorate(command)
    return command


def settings_from(options: dict[str, Any]) -> Settings:
    """Raises click.UsageError for values that do not go together."""
    known: dict[str, Any] = {
        name: None if name in ("access_log", "health_path") and value == "off" else value
        for name, value in options.items()
        if name not in ("workers", "run_dir")
    }
    run_dir = Path(options["run_dir"])
    settings = Settings(**known, changes_file=str(run_dir / "balancer-backends.json"))
    addresses = [member.address for member in settings.backends]
    if not addresses:
        raise click.UsageError(
            "Missing option '--backend' (env var: 'BALANCER_BACKENDS'): at least one HOST:PORT"
        )
    for address in addresses:
        if addresses.count(address) > 1:
            raise refused_backend(f"{address} stands there twice")
        if _is_own(address, settings.listen):
            raise refused_backend(f"{address} is the balancer's own address (--listen)")
    if settings.admin == settings.listen:
        raise click.UsageError(
            f"Invalid value for '--admin' (env var: 'BALANCER_ADMIN'): {settings.admin} is where"
            " clients come in (--listen); it must be another address"
        )
    return settings


def refused_backend(why: str) -> click.UsageError:
    return click.UsageError(f"Invalid value for '--backend' (env var: 'BALANCER_BACKENDS'): {why}")


def _is_own(address: Address, listen: Address) -> bool:
    return address.port == listen.port and listen.host in (address.host, *WILDCARDS)
