"""The request line, which is judged before anything that follows it (RFC 9112 3). Pure."""

from __future__ import annotations

import re

LINE = re.compile(rb"([A-Z-]+) ([!-~]+) HTTP/1\.([0-9])\r\n")
# What may still become a line: a bare LF, a control character or a byte beyond ASCII never will.
LINE_SO_FAR = re.compile(rb"[!-~][ -~]*\r?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_OTHER_PROTOCOLS = frozenset(
    (b"SOURCE", b"DESCRIBE", b"ANNOUNCE", b"SETUP", b"PLAY", b"PAUSE", b"TEARDOWN", b"RECORD",
     b"GET_PARAMETER", b"SET_PARAMETER", b"REDIRECT", b"FLUSH")
)  # fmt: skip


def as_known(data: bytes, minor: int) -> bytes:
    """A head of HTTP/1.2 to 1.9 as one of 1.1, the highest version that is known here (RFC 9110
    2.5).

    Args:
        minor: where the digit stands.
    """
    if data[minor] in b"01":
        return data
    return data[:minor] + b"1" + data[minor + 1 :]


class RefusedError(Exception):
    """The request is answered here: status, a reason for people."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def refusal(line: bytes) -> RefusedError:
    """Why a line, without its CRLF, that is not `LINE` is no request."""
    if not LINE_SO_FAR.fullmatch(line) or line.endswith(b"\r"):
        return RefusedError(400, "control characters or odd bytes in the request line")
    method, *rest = line.split(b" ")
    if len(rest) != 2 or not rest[0] or not _TOKEN.fullmatch(method):
        return RefusedError(400, "a request line is a method, a target and a version")
    if method in _OTHER_PROTOCOLS:
        return RefusedError(501, "this method is not one of HTTP")
    if not _VERSION.fullmatch(rest[1]) or method == b"PRI":
        return RefusedError(400, "malformed version of HTTP")
    if not rest[1].startswith(b"HTTP/1."):
        return RefusedError(505, "only HTTP/1.0 and 1.1 are spoken here")
    return RefusedError(501, "this method is not known here")
