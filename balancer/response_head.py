"""A backend's answer: how its body ends, and the head that goes to the client. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Literal

from .concurrency import LoadReport, load_report
from .request_head import HOP_BY_HOP, Field, RequestHead

BodyEnd = Literal["none", "length", "chunked", "close"]

_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_EVENT_STREAM = re.compile(rb"[ \t]*text/event-stream[ \t]*(?:;|$)", re.IGNORECASE)
_NO_BODY = frozenset({204, 304})
_KEEP_ALIVE = [b"keep-alive"]


class _Kind(Enum):
    """What is done with a field."""

    KEPT = 0
    DROPPED = 1
    LENGTH = 2
    ENCODING = 3
    CONNECTION = 4
    NO_RETRY = 5
    LOAD = 6


_KINDS = {
    b"content-length": _Kind.LENGTH,
    b"transfer-encoding": _Kind.ENCODING,
    b"connection": _Kind.CONNECTION,
    b"x-no-retry": _Kind.NO_RETRY,
    b"endpoint-load-metrics": _Kind.LOAD,
    b"x-request-id": _Kind.DROPPED,  # the balancer tells its own, which the backend was given
}


@lru_cache(maxsize=1024)
def _kind(name: bytes) -> _Kind:
    """Of a field name as on the wire."""
    lower = name.lower()
    return _KINDS.get(lower) or (_Kind.DROPPED if lower in HOP_BY_HOP else _Kind.KEPT)


class BadResponseError(Exception):
    """The answer has more than one meaning; the client gets a 502 instead."""


@dataclass(slots=True)
class ResponseHead:
    """An answer that has one meaning; `fields` are those that are sent on."""

    status: int
    reason: bytes
    fields: list[Field]
    body_end: BodyEnd
    no_retry: bool
    keep_alive: bool
    load: LoadReport | None  # of the backend, if it says so


def read(
    status: int, reason: bytes, fields: list[Field], *, request_method: bytes, keep_alive: bool
) -> ResponseHead:
    """Decide what a parsed answer head means (RFC 9112 6.3). Raises BadResponseError."""
    if not 200 <= status <= 599:
        raise BadResponseError(f"status {status} of the answer")
    if _NOT_TEXT.search(reason):
        raise BadResponseError("control characters in the reason of the answer")
    kept: list[Field] = []
    lengths: list[bytes] = []
    encodings: list[bytes] = []
    named: list[bytes] = []
    no_retry = False
    load: LoadReport | None = None
    for field in fields:
        kind = _kind(field[0])
        if kind is _Kind.KEPT:
            kept.append(field)
        elif kind is _Kind.LENGTH:
            lengths.append(field[1].strip(b" \t"))
        elif kind is _Kind.ENCODING:
            # A tab after it is a part of the coding for llhttp: such an answer is refused.
            encodings.append(field[1].strip(b" ").lower())
        elif kind is _Kind.CONNECTION:
            named.append(field[1].lower())
        elif kind is _Kind.NO_RETRY:
            no_retry = True
        elif kind is _Kind.LOAD:
            load = load_report(field[1])
    if named and named != _KEEP_ALIVE:
        tokens = {token.strip(b" \t") for token in b",".join(named).split(b",")}
        kept = [field for field in kept if field[0].lower() not in tokens]
    body_end = _body_end(status, lengths, encodings, request_method)
    if status == HTTPStatus.NO_CONTENT and (encodings or lengths not in ([], [b"0"])):
        keep_alive = False  # what it said it would send may still come
    # HEAD and 304 may tell the length of the body they do not have.
    if lengths and body_end != "chunked" and status != HTTPStatus.NO_CONTENT:
        kept.append((b"Content-Length", lengths[0]))
    return ResponseHead(status, reason, kept, body_end, no_retry, keep_alive, load)


def _body_end(status: int, lengths: list[bytes], encodings: list[bytes], method: bytes) -> BodyEnd:
    if lengths and (len(lengths) > 1 or not _CONTENT_LENGTH.fullmatch(lengths[0])):
        raise BadResponseError("Content-Length of the answer is not one number")
    if encodings and (lengths or encodings != [b"chunked"]):
        raise BadResponseError("transfer coding of the answer is not chunked alone")
    if method == b"HEAD" or status in _NO_BODY:
        return "none"
    if encodings:
        return "chunked"
    return "length" if lengths else "close"


def is_event_stream(head: ResponseHead) -> bool:
    """Whether its body are server-sent events. Asked only of answers that stand still."""
    return any(
        name.lower() == b"content-type" and _EVENT_STREAM.match(value)
        for name, value in head.fields
    )


def block(head: ResponseHead, request: RequestHead, *, chunked: bool, close: bool) -> bytes:
    """The head as sent to the client."""
    lines = [b"%b: %b\r\n" % field for field in head.fields]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if close:
        lines.append(b"Connection: close\r\n")
    elif request.http_1_0:
        lines.append(b"Connection: keep-alive\r\n")
    return b"HTTP/1.1 %d %b\r\n%bVia: 1.1 balancer\r\nX-Request-Id: %b\r\n\r\n" % (
        head.status,
        head.reason,
        b"".join(lines),
        request.request_id.encode(),
    )


def interim_block(status: int, reason: bytes, fields: list[Field]) -> bytes:
    """The head of an interim answer as sent to the client, which a proxy must pass on (RFC 9110
    15.2). Raises BadResponseError."""
    head = read(200, reason, fields, request_method=b"HEAD", keep_alive=True)  # for its fields
    lines = b"".join(b"%b: %b\r\n" % field for field in head.fields)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)


def read_switch(fields: list[Field]) -> list[Field]:
    """The fields of a 101 that are sent on. Raises BadResponseError if it is not a WebSocket that
    begins (RFC 6455 4.2.2)."""
    known: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        known.setdefault(name.lower(), []).append(value.strip(b" \t").lower())
    named = {token.strip(b" \t") for token in b",".join(known.get(b"connection", ())).split(b",")}
    if known.get(b"upgrade") != [b"websocket"] or b"upgrade" not in named:
        raise BadResponseError("switched to a protocol nobody asked for")
    dropped = named | HOP_BY_HOP | {b"content-length", b"x-request-id"}
    return [field for field in fields if field[0].lower() not in dropped]


def switch_block(fields: list[Field], request: RequestHead) -> bytes:
    """The head of a 101 as sent to the client."""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b"
        b"Via: 1.1 balancer\r\nX-Request-Id: %b\r\n\r\n"
        % (b"".join([b"%b: %b\r\n" % field for field in fields]), request.request_id.encode())
    )
