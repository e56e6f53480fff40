"""JSON answers, and the few errors there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

_JSON = "application/json; charset=utf-8"

to_json = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` makes an encoder each time


def json_response(
    body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The body as compact JSON with a newline, which keeps a terminal tidy."""
    text = to_json(body) + "\n"
    fields = {"Content-Type": _JSON}
    if headers:
        fields.update(headers)
    return web.Response(status=status, body=text.encode(), headers=fields)


def error_response(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> web.Response:
    """`{"error": message, ...}`"""
    return json_response({"error": message, **more}, status=status, headers=headers)


def from_http_exception(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals (unknown path, wrong method, body too large) and those a handler
    raised, as JSON. Redirects, and what is JSON already, stay as they are."""
    if error.status < 400 or error.content_type == "application/json":
        return web.Response(status=error.status, headers=error.headers, body=error.body)
    headers = {name: value for name, value in error.headers.items() if name != "Content-Type"}
    message = error.text
    if not message or message == f"{error.status}: {error.reason}":  # aiohttp's own words
        message = _WORDS.get(error.status, error.reason)
    return error_response(error.status, message, headers=headers)


_WORDS = {404: "There is nothing at this path", 405: "This path does not take this method"}
