"""Kinds of values on the command line; each refuses with what would be allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from shards import StoreSettings, split_urls

Function = TypeVar("Function", bound=Callable[..., Any])


def option(flag: str, envvar: str | None = None, **more: Any) -> Callable[[Function], Function]:
    """An option that is also an environment variable, APP_NAME for --name unless given, and is
    named by both when its value is refused."""
    variable = envvar or "APP_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, **more)


class Text(click.ParamType):  # type: ignore[type-arg]  # generic only in later versions
    """A value made from text by a function that raises ValueError with the reason."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535):
        raise ValueError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
    return host, int(port)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text):
        raise ValueError(f"{text!r} is not 1 to 32 letters, digits, '-' or '_'")
    return text


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        known = None
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is not an http:// or https:// address")
    if parts.username is not None:
        raise ValueError("an address with a user name in it would send it to nobody; leave it out")
    return text


ADDRESS = Text("HOST:PORT", _address)
NAME = Text("NAME", _name)
HTTP_URL = Text("URL", _http_url)
STORE_URLS = Text("URL[,URL...]", lambda text: StoreSettings(split_urls(text)).urls)
FILE_OR_OFF = Text("FILE|off", lambda text: None if text == "off" else Path(text))
