"""A client's request head: one meaning or a refusal, and the head that is sent on. Pure.

Nothing is echoed: what goes to a backend is built anew from what was parsed, with the hop-by-hop
fields (RFC 9110 7.6.1, and those `Connection` names) taken out and the forwarding fields put in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from .forwarding import Claim, Peer, believed_lines, read_claim
from .own_lines import MOST_OWN_LINES, NO_OWN_LINES, OwnLines
from .request_id import RequestIds
from .request_line import RefusedError
from .settings import Settings
from .trace_context import Trace, read_trace

Field = tuple[bytes, bytes]  # name and value as on the wire
Framing = Literal["none", "length", "chunked"]

# Dropped always; Connection and the framing fields are read before they are dropped.
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate",
     b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings")
)  # fmt: skip
# Dropped because the balancer speaks for itself: a client must not forge them.
_REPLACED = frozenset(
    (b"host", b"content-length", b"expect", b"via", b"forwarded", b"x-forwarded-for",
     b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip", b"x-request-id",
     b"x-request-timeout-ms", b"traceparent", b"tracestate")
)  # fmt: skip
_DROPPED = HOP_BY_HOP | _REPLACED

# Of other protocols that llhttp speaks too.
_FOREIGN_METHODS = frozenset(
    (b"SOURCE", b"DESCRIBE", b"ANNOUNCE", b"SETUP", b"PLAY", b"PAUSE", b"TEARDOWN", b"RECORD",
     b"REDIRECT", b"FLUSH")
)  # fmt: skip
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#:][^/?#]*)([/?].*)?")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_TARGET_BAD = re.compile(rb"[\x00-\x20\x7f-\xff#]")
_TIMEOUT_MS = re.compile(rb"[1-9][0-9]{0,8}")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 2048  # bytes
_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


@dataclass(slots=True)
class RequestHead:
    """A request that has one meaning.

    `forwarded` ends before the fields that differ per attempt; `block()` completes it. What few
    requests have is found in `fields`.
    """

    method: bytes
    target: bytes
    forwarded: bytes
    framing: Framing
    content_length: int
    request_id: str
    trace_id: str
    http_1_0: bool
    keep_alive: bool
    expects_continue: bool
    websocket: bool
    fields: Fields

    def block(self, remaining_ms: int) -> bytes:
        """The head as sent to a backend, with what is left of the time."""
        return b"%bX-Request-Timeout-Ms: %d\r\n\r\n" % (self.forwarded, remaining_ms)


@dataclass(slots=True, frozen=True)
class Fields:
    """What the fields of a head mean, whatever is asked for with them.

    `kept` are the lines that are sent on, with the line that tells the body's length.
    `timeout_ms` is the client's own limit, 0 if it sets none; `claim` and `trace` are what it
    says of where the request comes from.
    """

    host: bytes
    kept: bytes
    framing: Framing
    content_length: int
    request_id: str | None
    keep_alive: bool
    expects_continue: bool
    websocket: bool
    timeout_ms: int
    claim: Claim | None
    trace: Trace | None


class RequestHeads:
    """Reads heads, and remembers what the fields of the last ones meant.

    A client sends the same fields with every request, and reading them is most of the work: 1.5
    instead of 5 us for a head that wrk sends, 1.7 instead of 9 for a browser's. Lines that are
    different each time (`own_lines.py`) do not count. What is remembered is bounded; when it is
    full everything is forgotten, which costs less than to keep an order.

    Args:
        new_id: gives ids to requests that have none, and to their part of the trace.
    """

    def __init__(self, settings: Settings, new_id: RequestIds) -> None:
        self._settings = settings
        self._new_id = new_id
        self.known: dict[bytes, Fields] = {}  # by block

    def read(self, parsed: ParsedRequest, peer: Peer) -> RequestHead:
        """Decide what a parsed head means. Raises RefusedError.

        Args:
            peer: who sent it.
        """
        fields = self.known.get(parsed.block)
        if fields is None:
            fields = self._read_fields(parsed)
            request_id, trace = fields.request_id, fields.trace
        else:
            request_id, trace = parsed.own.request_id, parsed.own.trace
        target, host = read_target(parsed, fields.host, self._settings)
        made = self._new_id()
        request_id = request_id or made
        claim = fields.claim
        trace_id, flags = (made, b"01") if trace is None else (trace.trace_id.decode(), trace.flags)
        lines, asked_for = peer.lines, host
        if claim is not None and peer.trusted:
            lines, asked_for = believed_lines(claim, peer), claim.host or host
        websocket = fields.websocket and parsed.method == b"GET"
        if websocket:
            lines += _UPGRADE
        return RequestHead(
            method=parsed.method,
            target=parsed.target,
            forwarded=b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b"
            b"X-Forwarded-Host: %b\r\nX-Request-Id: %b\r\ntraceparent: 00-%b-%b-%b\r\n"
            % (
                parsed.method,
                target,
                host,
                fields.kept,
                lines,
                asked_for,
                request_id.encode(),
                trace_id.encode(),
                self._new_id.parent_id(made).encode(),
                flags,
            ),
            framing=fields.framing,
            content_length=fields.content_length,
            request_id=request_id,
            trace_id=trace_id,
            http_1_0=parsed.version == "1.0",
            keep_alive=fields.keep_alive,
            expects_continue=fields.expects_continue,
            websocket=websocket,
            fields=fields,
        )

    def _read_fields(self, parsed: ParsedRequest) -> Fields:
        fields = read_fields(parsed, self._settings)
        if (
            fields.framing == "none"  # a body's length is hardly the same twice
            and len(parsed.block) <= _LONGEST_REMEMBERED
            and len(parsed.fields) + MOST_OWN_LINES <= self._settings.max_fields
            and parsed.own.are_all_of([name.lower() for name, _value in parsed.fields])
        ):
            if len(self.known) >= _MOST_REMEMBERED:
                self.known.clear()
            self.known[parsed.block] = replace(fields, request_id=None, trace=None)
        return fields


def read_target(parsed: ParsedRequest, host: bytes, settings: Settings) -> tuple[bytes, bytes]:
    """The target and the host that are sent on. Raises RefusedError."""
    if parsed.method in _FOREIGN_METHODS:
        raise RefusedError(501, "this method is not one of HTTP")
    if len(parsed.target) > settings.max_target:
        raise RefusedError(414, f"target longer than {settings.max_target} bytes")
    return _target(parsed, host)


def read_fields(parsed: ParsedRequest, settings: Settings) -> Fields:
    """Decide what the fields of a head mean. Raises RefusedError."""
    if len(parsed.fields) > settings.max_fields:
        raise RefusedError(431, f"more than {settings.max_fields} header fields")
    known, kept, named = _sort_out(parsed.fields)
    host = _host(known.get(b"host"), parsed)
    framing, length = _framing(known, parsed)
    if framing != "none" and parsed.method == b"TRACE":
        raise RefusedError(400, "TRACE has no body")
    if settings.max_body and length > settings.max_body:
        raise RefusedError(413, f"body longer than {settings.max_body} bytes")
    expect = known.get(b"expect", [])
    if expect and not _continue_alone(expect):
        raise RefusedError(417, "only Expect: 100-continue is known")
    lines = [b"%b: %b\r\n" % field for field in kept]
    if framing == "length":
        lines.append(b"Content-Length: %d\r\n" % length)
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked\r\n")
    trace = read_trace(known.get(b"traceparent"), known.get(b"tracestate"))
    if trace is not None and trace.state:
        lines.append(b"tracestate: %b\r\n" % trace.state)
    lines.append(b"Via: 1.1 balancer\r\n")
    return Fields(
        host=host,
        kept=b"".join(lines),
        framing=framing,
        content_length=length,
        request_id=_request_id(known.get(b"x-request-id")),
        keep_alive=b"close" not in named and (parsed.version == "1.1" or b"keep-alive" in named),
        expects_continue=bool(expect) and parsed.version == "1.1",  # RFC 9110 10.1.1
        websocket=_wants_websocket(known, named, parsed, framing),
        timeout_ms=_timeout_ms(known.get(b"x-request-timeout-ms")),
        claim=read_claim(known),
        trace=trace,
    )


@dataclass(slots=True)
class ParsedRequest:
    """What the parser found in a head.

    `block` is what follows `HTTP/1.` as it came, but for the lines that `own` tells of; where it is
    known what it means, `fields` may be empty.
    """

    method: bytes
    target: bytes
    version: str
    fields: list[Field]
    block: bytes
    own: OwnLines = NO_OWN_LINES


def _sort_out(
    fields: list[Field],
) -> tuple[dict[bytes, list[bytes]], list[Field], set[bytes] | tuple[()]]:
    """The fields the balancer reads, by lower-case name, those that are sent on, and what
    `Connection` names."""
    known: dict[bytes, list[bytes]] = {}
    kept: list[Field] = []
    for field in fields:
        name = field[0].lower()
        if name in _DROPPED:
            known.setdefault(name, []).append(field[1].strip(b" \t"))
        else:
            kept.append(field)
    named = known.get(b"connection")
    if not named:
        return known, kept, ()
    tokens = {token.strip(b" \t").lower() for token in b",".join(named).split(b",")}
    if not tokens <= {b"close", b"keep-alive"}:
        kept = [field for field in kept if field[0].lower() not in tokens]
    return known, kept, tokens


def _host(values: list[bytes] | None, parsed: ParsedRequest) -> bytes:
    if values is None:
        if parsed.version != "1.0":
            raise RefusedError(400, "Host is missing")
        return b""
    if len(values) > 1 or not _is_host(values[0]):
        raise RefusedError(400, "Host must be one host and port")
    return values[0]


def _continue_alone(expect: list[bytes]) -> bool:
    """It is a list (RFC 9110 10.1.1), and who says it twice says nothing else."""
    return all(
        one.strip(b" \t").lower() == b"100-continue" for one in b",".join(expect).split(b",")
    )


def _is_host(value: bytes) -> bool:
    found = _HOST.fullmatch(value)
    return found is not None and int(found[1] or 0) <= 65535


def _target(parsed: ParsedRequest, host: bytes) -> tuple[bytes, bytes]:
    target = parsed.target
    if parsed.method == b"CONNECT":
        raise RefusedError(405, "CONNECT is not served here")
    if parsed.method == b"TRACE":
        raise RefusedError(405, "TRACE is not served here")
    if _TARGET_BAD.search(target):
        raise RefusedError(400, "control characters, spaces or a fragment in the target")
    if target.startswith(b"/"):
        return target, host
    if target == b"*" and parsed.method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute and _is_host(absolute[1]):
        nothing = b"*" if parsed.method == b"OPTIONS" else b"/"  # RFC 9112 3.2.4
        path = absolute[2] or nothing
        return (b"/" + path if path.startswith(b"?") else path), absolute[1]
    raise RefusedError(400, "target must be a path")


def _framing(known: dict[bytes, list[bytes]], parsed: ParsedRequest) -> tuple[Framing, int]:
    lengths = known.get(b"content-length")
    encodings = known.get(b"transfer-encoding")
    if encodings is not None:
        if lengths is not None or parsed.version == "1.0":
            raise RefusedError(400, "Transfer-Encoding with Content-Length or HTTP/1.0")
        if [value.lower() for value in encodings] != [b"chunked"]:
            raise RefusedError(501, "the only transfer coding is chunked")
        return "chunked", 0
    if lengths is None:
        return "none", 0
    if len(lengths) > 1 or not _CONTENT_LENGTH.fullmatch(lengths[0]):
        raise RefusedError(400, "Content-Length must be one number")
    return "length", int(lengths[0])


def _wants_websocket(
    known: dict[bytes, list[bytes]],
    named: set[bytes] | tuple[()],
    parsed: ParsedRequest,
    framing: Framing,
) -> bool:
    """Whether it asks to become a WebSocket (RFC 6455 4.1) if it is a GET; any other upgrade is
    not passed on, and the request is an ordinary one."""
    return (
        b"upgrade" in named
        and b"close" not in named
        and parsed.version == "1.1"
        and framing == "none"
        and [value.lower() for value in known.get(b"upgrade", ())] == [b"websocket"]
    )


def _timeout_ms(values: list[bytes] | None) -> int:
    if values and len(values) == 1 and _TIMEOUT_MS.fullmatch(values[0]):
        return int(values[0])
    return 0


def _request_id(values: list[bytes] | None) -> str | None:
    if values and len(values) == 1 and _REQUEST_ID.fullmatch(values[0]):
        return values[0].decode()
    return None
