"""Answers of the balancer's own: what went wrong, for people, scripts and proxies. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from errno import EHOSTUNREACH, ENETUNREACH
from functools import lru_cache
from http import HTTPStatus
from typing import Literal

# RFC 9209 2.3, those that occur here.
ProxyError = Literal[
    "connection_limit_reached",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "destination_ip_unroutable",
    "destination_unavailable",
    "http_protocol_error",
    "http_request_error",
    "http_response_incomplete",
    "http_response_timeout",
    "proxy_internal_error",
]

_OF_STATUS: dict[int, ProxyError] = {
    500: "proxy_internal_error",
    502: "http_protocol_error",
    503: "destination_unavailable",
    504: "http_response_timeout",
}
_ACCEPT = re.compile(rb"\r\naccept:([^\r]*)", re.IGNORECASE)
_WEIGHT = re.compile(rb";[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*(?:;|$)", re.IGNORECASE)
_JSON = (b"application/json", b"application/*", b"*/*")
_TEXT = (b"text/plain", b"text/*", b"*/*")


def error_of(status: int) -> ProxyError:
    """The kind of error a status stands for when nothing more is known."""
    return _OF_STATUS.get(status, "http_request_error")


def error_of_connect(error: OSError) -> ProxyError:
    """The kind of error that kept a connection from being made."""
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, TimeoutError):
        return "connection_timeout"
    if error.errno in (EHOSTUNREACH, ENETUNREACH):
        return "destination_ip_unroutable"
    return "destination_unavailable"


def prefers_text(head: bytes) -> bool:
    """Whether the sender of a head would rather have plain text than JSON (RFC 9110 12.5.1).

    Looked for only when an answer is generated: requests that succeed pay nothing for it.

    Args:
        head: fields as on the wire, the first with a line before it.
    """
    accepts = _ACCEPT.findall(head)
    if not accepts:  # a flood of refusals must be cheap
        return False
    weights: dict[bytes, float] = {}
    for part in b",".join(accepts).split(b","):
        media, _semicolon, parameters = part.partition(b";")
        found = _WEIGHT.search(b";" + parameters)
        weights[media.strip(b" \t").lower()] = float(found[1]) if found else 1.0
    return _weight(weights, _TEXT) > _weight(weights, _JSON)


def _weight(weights: dict[bytes, float], names: tuple[bytes, ...]) -> float:
    """Of the most precise name that is there."""
    return next((weights[name] for name in names if name in weights), 0.0)


@dataclass(slots=True, frozen=True)
class Problem:
    """Why a request is answered here.

    Args:
        reason: one sentence for people.
        error: of RFC 9209, for those who tell a balancer's answer from a backend's.
        text: plain text instead of JSON.
    """

    status: int
    reason: str
    request_id: str
    error: ProxyError
    text: bool

    def answer(self, *, close: bool, head: bool) -> bytes:
        """The whole answer; `head`: to a HEAD request, so without the body."""
        request_id = self.request_id.encode()
        before, begun, ended = _around_ids(
            self.status, self.reason, self.error, self.text, close, len(request_id)
        )
        if head:
            return before % request_id
        return before % request_id + begun + request_id + ended


@lru_cache(maxsize=64)  # in a flood all are told the same, and telling must be cheap
def _around_ids(
    status: int, reason: str, error: str, text: bool, close: bool, id_length: int
) -> tuple[bytes, bytes, bytes]:
    """An answer without its request id: the head with a `%b` in its place, and the two parts of
    the body. An id is letters, digits and `._-`, so it stands in JSON as it is."""
    phrase = HTTPStatus(status).phrase
    if text:
        media = "text/plain; charset=utf-8"
        begun, ended = f"{status} {phrase}: {reason}\nrequest id: ".encode(), b"\n"
    else:
        media = "application/json"
        begun, ended = b'{"error": %b, "request_id": "' % json.dumps(reason).encode(), b'"}\n'
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        f"Content-Type: {media}",
        f"Content-Length: {len(begun) + id_length + len(ended)}",
        "X-Request-Id: %b",
        f"Proxy-Status: balancer; error={error}",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("Retry-After: 1")
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode(), begun, ended
