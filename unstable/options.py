"""Types of command-line options; the faults' own options follow from their knobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from .settings import BadSettingError, Knob

Command = TypeVar("Command", bound=Callable[..., Any])


class Address(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions
    """HOST:PORT, IPv6 hosts in brackets; port 0 takes a free one."""

    name = "host:port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        try:
            parts = urlsplit(f"//{value}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or port is None or parts.netloc != value or "@" in value:
            self.fail(f"must be HOST:PORT, like 127.0.0.1:4000, got {value!r}", param, ctx)
        return host, port


class FileOrOff(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions
    """A path, or None for `off`."""

    name = "file|off"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | None:
        return None if value == "off" else Path(value)


class KnobValue(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions
    """The value of a knob, checked as `PUT /faults` checks it."""

    def __init__(self, knob: Knob) -> None:
        self.name = f"{knob.low:.16g}..{knob.high:.16g}"
        self._knob = knob

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return self._knob.accept(self._number(value))
        except BadSettingError as error:
            self.fail(str(error), param, ctx)

    def _number(self, value: Any) -> object:
        """What stands in the text; the text itself, which no knob accepts, if it is no number."""
        try:
            return int(value) if self._knob.whole else float(value)
        except ValueError:
            return value


def knob_options(knobs: Iterable[Knob]) -> Callable[[Command], Command]:
    """An option and an environment variable for each; the name is the setting's."""

    def decorate(command: Command) -> Command:
        for knob in reversed(list(knobs)):
            command = click.option(
                f"--{knob.name.replace('_', '-')}",
                knob.name,
                type=KnobValue(knob),
                default=knob.default,
                envvar=f"UNSTABLE_{knob.name.upper()}",
                show_envvar=True,
                help=knob.help,
            )(command)
        return command

    return decorate
