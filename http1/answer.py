"""What the head of an answer means, above all where its body ends. Pure."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

BodyEnd = Literal["none", "length", "chunked", "close"]
Field = tuple[bytes, bytes]  # name and value as on the wire

_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NO_BODY = frozenset({204, 304})


class BadAnswerError(Exception):
    """The answer is no HTTP/1.x, has more than one meaning, or is too large."""


class AnswerHead(NamedTuple):
    """`fields` are all that came; `length` is the Content-Length, None without one."""

    status: int
    reason: bytes
    fields: list[Field]
    body_end: BodyEnd
    length: int | None
    keep_alive: bool

    def get(self, name: bytes) -> bytes | None:
        """The first field of a name in lower case."""
        return next((value for field, value in self.fields if field.lower() == name), None)


def read_head(
    status: int, reason: bytes, fields: list[Field], *, method: bytes, keep_alive: bool
) -> AnswerHead:
    """The head, if it has one meaning (RFC 9112, section 6.3). Raises BadAnswerError.

    Args:
        method: of the request.
        keep_alive: what version and Connection field say.
    """
    if not 200 <= status <= 599:
        raise BadAnswerError(f"status {status} of the answer")
    if _NOT_TEXT.search(reason):
        raise BadAnswerError("control characters in the reason of the answer")
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-length":
            lengths.append(value)
        elif lower == b"transfer-encoding":
            codings.append(value.lower())
    if lengths and (len(lengths) > 1 or not _CONTENT_LENGTH.fullmatch(lengths[0])):
        raise BadAnswerError("Content-Length of the answer is not one number")
    if codings and (lengths or codings != [b"chunked"]):
        raise BadAnswerError("transfer coding of the answer is not chunked alone")
    body_end: BodyEnd
    if method == b"HEAD" or status in _NO_BODY:
        body_end = "none"
    elif codings:
        body_end = "chunked"
    else:
        body_end = "length" if lengths else "close"
    length = int(lengths[0]) if lengths else None
    return AnswerHead(status, reason, fields, body_end, length, keep_alive)
