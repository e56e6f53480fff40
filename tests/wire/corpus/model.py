"""What a case of the corpus is, and what is seen when it is run. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What a door adds of its own; it is looked at apart.
DOORS_OWN = frozenset(
    (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via", b"x-request-id",
     b"x-request-timeout-ms", b"traceparent", b"tracestate")
)  # fmt: skip
CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*")
_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]")


@dataclass(frozen=True)
class Forwarded:
    """A request as the origin got it: line, fields without the door's own in order of their
    names (which are in lower case), decoded body."""

    line: bytes
    fields: tuple[bytes, ...]
    body: bytes = b""


def forwarded(line: bytes, *fields: bytes, host: bytes = b"a", body: bytes = b"") -> Forwarded:
    """`fields` beside Host."""
    return Forwarded(line, _ordered([b"host: " + host, *fields]), body)


def _ordered(fields: list[bytes]) -> tuple[bytes, ...]:
    named = [field.partition(b":") for field in fields]
    return tuple(sorted(name.lower() + b": " + value.strip(b" \t") for name, _, value in named))


CANARY_FORWARDED = forwarded(b"GET /canary HTTP/1.1", host=b"canary")


@dataclass(frozen=True)
class Case:
    """Bytes of a client.

    Attributes:
        expected: in order: requests that reach the origin and are answered by it; a number is an
            answer of the door's own, after which it closes. After a number nothing follows but
            after 100.
        rule: why, by section of RFC 9110 or 9112.
        ends: the client half-closes after its bytes. Otherwise a canary request follows, which
            must be answered if all before it was, and must not be if not.
        closes: the door closes after the last answer though it is the origin's.
    """

    name: str
    sent: bytes
    expected: tuple[Forwarded | int, ...]
    rule: str
    ends: bool = False
    closes: bool = False

    @property
    def refused(self) -> bool:
        return not self.expected or (
            isinstance(self.expected[-1], int) and self.expected[-1] != 100
        )

    @property
    def stays_open(self) -> bool:
        return not (self.refused or self.ends or self.closes)

    @property
    def requests(self) -> list[Forwarded]:
        """What the origin must get, and nothing else."""
        own = [one for one in self.expected if isinstance(one, Forwarded)]
        return [*own, CANARY_FORWARDED] if self.stays_open else own

    @property
    def statuses(self) -> list[int]:
        """What the client must get, and then the end of the connection."""
        own = [one if isinstance(one, int) else 200 for one in self.expected]
        return [*own, 200] if self.stays_open else own

    @property
    def wire(self) -> bytes:
        return self.sent if self.ends else self.sent + CANARY


class NotARequestError(Exception):
    """What reached the origin has more than one meaning, or none."""


class RequestReader:
    """Reads what reached an origin, strictly and without any of the door's code."""

    def __init__(self) -> None:
        self.rest = b""
        self.heads: list[bytes] = []

    def feed(self, data: bytes) -> list[Forwarded]:
        """The requests that are complete now. Raises NotARequestError."""
        self.rest += data
        complete = []
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            head, after = self.rest[:end], self.rest[end + 4 :]
            line, *fields = head.split(b"\r\n")
            if not _LINE.fullmatch(line) or not all(map(_FIELD.fullmatch, fields)):
                raise NotARequestError(head)
            body = self._body(fields, after)
            if body is None:
                break
            content, self.rest = body
            self.heads.append(head)
            kept = [f for f in fields if f.partition(b":")[0].lower() not in DOORS_OWN]
            complete.append(Forwarded(line, _ordered(kept), content))
        return complete

    @staticmethod
    def _body(fields: list[bytes], after: bytes) -> tuple[bytes, bytes] | None:
        framing = [
            f.lower() for f in fields if re.match(rb"(?i)content-length|transfer-encoding", f)
        ]
        if not framing:
            return b"", after
        if len(framing) > 1:
            raise NotARequestError(framing)
        if framing[0] == b"transfer-encoding: chunked":
            return _chunks(after)
        length = int(re.fullmatch(rb"content-length: ([0-9]+)", framing[0])[1])  # type: ignore[index]
        return (after[:length], after[length:]) if len(after) >= length else None


def _chunks(after: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while (end := after.find(b"\r\n")) >= 0:
        if not re.fullmatch(rb"[0-9a-f]{1,15}", after[:end]):
            raise NotARequestError(after[:end])  # no extension and no odd size is passed on
        size, after = int(after[:end], 16), after[end + 2 :]
        if len(after) < size + 2:
            return None
        if after[size : size + 2] != b"\r\n":
            raise NotARequestError(after[size : size + 2])
        if not size:
            return body, after[2:]
        body, after = body + after[:size], after[size + 2 :]
    return None


def origin_answer(request: Forwarded) -> bytes:
    """Says which request it answers."""
    method, target, _version = request.line.split(b" ")
    body = method + b" " + target
    head = b"HTTP/1.1 200 OK\r\nX-Method: %b\r\nContent-Length: %d\r\n\r\n" % (method, len(body))
    return head if method == b"HEAD" else head + body


def answers(received: bytes) -> list[tuple[int, bytes]]:
    """Statuses and bodies a client got. Raises ValueError for bytes that are no whole answer."""
    found = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        status = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [^\r\n]*", line)
        if not end or not status or not all(map(_FIELD.fullmatch, fields)):
            raise ValueError(head)
        lower = {f.partition(b":")[0].lower(): f.partition(b":")[2].strip() for f in fields}
        length = int(lower.get(b"content-length", b"0"))
        if lower.get(b"x-method") == b"HEAD" or int(status[1]) < 200:
            length = 0
        if len(received) < length:
            raise ValueError(head)
        found.append((int(status[1]), received[:length]))
        received = received[length:]
    return found


@dataclass
class Seen:
    """What became of a case."""

    requests: list[Forwarded]
    received: bytes
    closed: bool  # in time
    heads: list[bytes]
    odd: str = ""  # what reached the origin and was no request

    @property
    def statuses(self) -> list[int]:
        return [status for status, _body in answers(self.received)]


def verdict(case: Case, seen: Seen) -> None:
    """Asserts that it is what the case demands."""
    assert not seen.odd, f"the origin got {seen.odd}"
    assert seen.closed, f"hangs after {seen.received!r}"
    assert (seen.statuses, seen.requests) == (case.statuses, case.requests), seen.received
    own = [body for status, body in answers(seen.received) if status == 200]
    for request, body in zip(seen.requests, own, strict=True):
        method, target, _version = request.line.split(b" ")
        assert body == (b"" if method == b"HEAD" else method + b" " + target), "mixed up"
