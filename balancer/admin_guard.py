"""Who may change something through the admin port, and errors that a program can read."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from monitoring.host_header import trusted_host

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_READING = ("GET", "HEAD", "OPTIONS")
_JSON = "application/json"


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is a JSON object: what is wrong and, where that is a list, what is allowed."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        answer: dict[str, object] = {"error": error.text or error.reason}
        headers = {}
        if isinstance(error, web.HTTPMethodNotAllowed):
            answer = {
                "error": f"{request.method} is not possible for {request.path}",
                "allowed": sorted(error.allowed_methods),
            }
            headers["Allow"] = error.headers["Allow"]
        elif request.match_info.http_exception is not None:
            routes = {route.canonical for route in request.app.router.resources()}
            answer = {"error": f"there is no {request.path}", "allowed": sorted(routes)}
        return web.json_response(answer, status=error.status, headers=headers)


@web.middleware
async def only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse changes from other machines, and those a foreign web page makes a browser send."""
    if request.method not in _READING and request.match_info.http_exception is None:
        why = refusal(
            remote=request.remote or "",
            host=request.host,
            origin=request.headers.get("Origin"),
            fetch_site=request.headers.get("Sec-Fetch-Site"),
        )
        if why:
            raise web.HTTPForbidden(text=why)
        if request.method in ("POST", "PUT") and request.content_type != _JSON:
            raise web.HTTPUnsupportedMediaType(text=f"send JSON, with Content-Type: {_JSON}")
    return await handler(request)


def refusal(*, remote: str, host: str, origin: str | None, fetch_site: str | None) -> str:
    """Why a change is refused; empty when it is not.

    Args:
        remote: the peer's address.
        host: the Host header; a name that is not this machine's is DNS rebinding.
        origin: of the page that sends it, if a browser does.
        fetch_site: a browser's own word on where the page is from.
    """
    if not _is_loopback(remote):
        return "changes are taken from this machine only"
    if not trusted_host(host):
        return f"this is not {host}: use 127.0.0.1 or localhost"
    foreign = origin is not None and urlsplit(origin).netloc != host
    if foreign or fetch_site not in (None, "same-origin", "none"):
        return "changes are not taken from pages of other sites"
    return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
