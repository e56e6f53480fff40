"""The stack as supervisord.conf states it: programs, addresses, ports, and what moves them.

Pure: takes the text of the file and an environment, touches neither disk nor network.

Keys that supervisord ignores and this module reads, per program:

    stack_url       where a person finds the program
    stack_ready     what answers when it is ready: http://… (status 200) or redis://… (PING)
    stack_optional  true: the stack is whole without it

A port is whatever `${VARIABLE:-number}` stands in stack_url or stack_ready.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import Error, RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_EXPANSION = re.compile(r"\$\{([A-Za-z_]\w*):-([^{}]*)\}")  # the innermost of nested ones
_NESTING = 5
# `127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`, and NGINX's `listen 8080`
_ADDRESS = re.compile(r"((?:127\.0\.0\.1|localhost|\[::1\]):|\blisten\s+)(\d{1,5})(?![\d.])")

_PRIORITY = 999  # supervisord's default
_TRUE = ("true", "yes", "on", "1")


class SettingError(ValueError):
    """A setting cannot work; the text is one line for the user."""


@dataclass(frozen=True)
class Port:
    """A port a program listens on; `variable` is None when nothing moves it."""

    variable: str | None
    default: int
    number: int


@dataclass(frozen=True)
class Program:
    """One `[program:…]` or `[eventlistener:…]`, with all variables filled in.

    Programs with low `priority` start first and stop last.
    """

    name: str
    priority: int
    command: str
    url: str | None
    ready: str | None
    ports: tuple[Port, ...]
    autostart: bool
    optional: bool
    log: Path | None
    stop_seconds: float


@dataclass(frozen=True)
class Topology:
    """All programs in the order in which they start, and where supervisord keeps its own files."""

    programs: tuple[Program, ...]
    socket: Path
    pid_file: Path
    log: Path

    def __getitem__(self, name: str) -> Program:
        """Raises KeyError for a program that is not there."""
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(name)

    @property
    def moves(self) -> dict[int, int]:
        """Default port -> port in use now, of those that differ."""
        ports = [port for program in self.programs for port in program.ports]
        return {port.default: port.number for port in ports if port.number != port.default}


def read_topology(text: str, environ: Mapping[str, str], here: Path) -> Topology:
    """The topology that supervisord would run with this file, environment and folder.

    Raises SettingError for a file that is not one, a port that is no port, two programs on one
    port, and one variable with two defaults.
    """
    parser = RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    try:
        parser.read_string(text, "supervisord.conf")
    except Error as error:
        raise SettingError(f"supervisord.conf cannot be read: {_one_line(error)}") from None
    sections = [name for name in parser.sections() if _program_name(name)]
    programs = tuple(
        sorted(
            (_program(parser, name, environ, here) for name in sections),
            key=lambda program: program.priority,
        )
    )
    _refuse_two_defaults(text, programs)
    _refuse_two_programs_on_one_port(programs)

    def path(section: str, key: str, default: str) -> Path:
        return Path(_here(parser.get(section, key, fallback=default), here))

    return Topology(
        programs,
        socket=path("unix_http_server", "file", "var/run/supervisor.sock"),
        pid_file=path("supervisord", "pidfile", "var/run/supervisord.pid"),
        log=path("supervisord", "logfile", "var/log/supervisord.log"),
    )


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`${VARIABLE:-default}` as a POSIX shell expands it: unset or empty gives the default."""
    for _ in range(_NESTING):
        text = _EXPANSION.sub(lambda match: environ.get(match[1]) or match[2], text)
    return text


def relocate(text: str, moves: Mapping[int, int]) -> str:
    """A literal configuration (nginx.conf, prometheus.yml) with its loopback ports moved.

    All at once, so two ports may change places.
    """

    def moved(match: re.Match[str]) -> str:
        return f"{match[1]}{moves.get(int(match[2]), int(match[2]))}"

    return _ADDRESS.sub(moved, text)


def _program(
    parser: RawConfigParser, section: str, environ: Mapping[str, str], here: Path
) -> Program:
    def value(key: str) -> str | None:
        raw = parser.get(section, key, fallback=None)
        return None if raw is None else expand(_here(raw, here), environ)

    together = (value("redirect_stderr") or "false").lower() in _TRUE
    log = value("stdout_logfile" if together else "stderr_logfile")  # where it says what is wrong
    addresses = [parser.get(section, key, fallback="") for key in ("stack_url", "stack_ready")]
    return Program(
        name=_program_name(section),
        priority=parser.getint(section, "priority", fallback=_PRIORITY),
        command=value("command") or "",
        url=value("stack_url"),
        ready=value("stack_ready"),
        ports=_ports(addresses, environ),
        autostart=(value("autostart") or "true").lower() in _TRUE,
        optional=(value("stack_optional") or "false").lower() in _TRUE,
        log=None if log is None else Path(log),
        stop_seconds=float(value("stopwaitsecs") or 10),
    )


def _ports(addresses: list[str], environ: Mapping[str, str]) -> tuple[Port, ...]:
    ports: dict[Port, None] = {}
    for address in filter(None, addresses):
        match = _EXPANSION.search(address)
        if match is None:
            number = urlsplit(address).port
            if number is not None:
                ports[Port(None, number, number)] = None
        else:
            given = environ.get(match[1]) or match[2]
            ports[Port(match[1], int(match[2]), _port_number(match[1], given))] = None
    return tuple(ports)


def _port_number(variable: str, given: str) -> int:
    if given.isascii() and given.isdigit() and len(given) <= 5 and 1 <= int(given) <= 65535:
        return int(given)
    shown = given if len(given) <= 40 else f"{given[:40]}…"
    raise SettingError(f"{variable}={shown!r} is not a port: a number from 1 to 65535 is allowed")


def _refuse_two_defaults(text: str, programs: tuple[Program, ...]) -> None:
    """Whoever calls a port must mean the one that its program listens on."""
    ports = {port.variable: str(port.default) for program in programs for port in program.ports}
    for variable, default in _EXPANSION.findall(text):
        known = ports.get(variable, default)
        if known != default:
            raise SettingError(
                f"supervisord.conf gives {variable} two defaults, {known} and {default}"
            )


def _refuse_two_programs_on_one_port(programs: tuple[Program, ...]) -> None:
    """One variable in two programs is meant: nginx takes the balancer's place."""
    owners: dict[int, tuple[str, str | None]] = {}
    for program in programs:
        for port in program.ports:
            owner, variable = owners.setdefault(port.number, (program.name, port.variable))
            if (owner != program.name or variable is not None) and variable != port.variable:
                raise SettingError(
                    f"port {port.number} is wanted by {owner} ({variable}) and by "
                    f"{program.name} ({port.variable}): give one of them another number"
                )


def _program_name(section: str) -> str:
    kind, _, name = section.partition(":")
    return name if kind in ("program", "eventlistener") else ""


def _here(text: str, here: Path) -> str:
    return text.replace("%(here)s", str(here))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
