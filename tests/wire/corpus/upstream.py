"""What backends may send, and what the client must get: RFC 9112 section 6.3, 9110 section 15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Then = Literal["stays", "closes", "resets"]
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH_2 = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
CUT = "cut"


@dataclass(frozen=True)
class UpstreamCase:
    """Bytes of a backend in answer to one request.

    Attributes:
        then: what the backend does after them.
        expected: status and body of a whole answer; or the status of the door's own; or CUT, an
            answer that the client can see is not whole.
        method, version: of the client's request.
        late: sent 50 ms after the rest.
    """

    name: str
    sent: bytes
    expected: tuple[int, bytes] | int | str
    rule: str
    then: Then = "stays"
    method: str = "GET"
    version: str = "1.1"
    late: bytes = b""


def whole(name: str, sent: bytes, body: bytes, rule: str, **more: str) -> UpstreamCase:
    return UpstreamCase(f"whole-{name}", sent, (200, body), rule, **more)  # type: ignore[arg-type]


def bad(name: str, sent: bytes, rule: str, then: Then = "stays") -> UpstreamCase:
    """Becomes 502, whether the backend closes or not."""
    return UpstreamCase(f"bad-{name}", sent, 502, rule, then)


def field(name: str, line: bytes, rule: str) -> UpstreamCase:
    return bad(f"field-{name}", OK + line + b"\r\n" + LENGTH_2, rule)


def length(name: str, lines: bytes, rule: str) -> UpstreamCase:
    return bad(f"length-{name}", OK + lines + b"\r\n\r\nok", rule)


def coding(name: str, lines: bytes, rule: str) -> UpstreamCase:
    return bad(f"coding-{name}", OK + lines + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n", rule)


def cut(name: str, sent: bytes, rule: str, then: Then = "stays") -> UpstreamCase:
    return UpstreamCase(f"cut-{name}", sent, CUT, rule, then)


def extra(
    name: str, sent: bytes, expected: tuple[int, bytes], rule: str, method: str = "GET"
) -> list[UpstreamCase]:
    """POISON follows at once, or later: nobody must get it."""
    return [
        UpstreamCase(f"extra-{name}", sent + POISON, expected, rule, method=method),
        UpstreamCase(f"extra-{name}-late", sent, expected, rule, method=method, late=POISON),
    ]


CASES: list[UpstreamCase] = [
    # Legal, though some are unusual
    whole("length", OK + LENGTH_2, b"ok", "9112 6.3"),
    whole("length-zero", OK + b"Content-Length: 0\r\n\r\n", b"", "9112 6.3"),
    whole("length-spaces", OK + b"Content-Length: \t2 \t\r\n\r\nok", b"ok", "9112 5.1: OWS"),
    whole("length-leading-zeros", OK + b"Content-Length: 002\r\n\r\nok", b"ok", "9110 8.6"),
    whole("length-then-close", OK + LENGTH_2, b"ok", "9112 9.6", then="closes"),
    whole("connection-close", OK + b"Connection: close\r\n" + LENGTH_2, b"ok", "9112 9.6"),
    whole("chunked", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok", "9112 7.1"),
    whole("chunked-empty", CHUNKED + b"0\r\n\r\n", b"", "9112 7.1"),
    whole("chunked-odd-case", OK + b"transfer-ENCODING: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok",
          "9110 10.1.4"),
    whole("chunked-space-after", OK + b"Transfer-Encoding: chunked  \r\n\r\n2\r\nok\r\n0\r\n\r\n",
          b"ok", "9112 5.1: OWS"),
    whole("chunked-tab-before", OK + b"Transfer-Encoding:\tchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
          b"ok", "9112 5.1: OWS"),
    whole("chunked-extension", CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n", b"ok", "9112 7.1.1"),
    whole("chunked-trailer", CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n\r\n", b"ok", "9110 6.5.1"),
    whole("chunked-trailer-length-like", CHUNKED + b"2\r\nok\r\n0\r\nX-Content-Length: 9\r\n\r\n",
          b"ok", "9110 6.5.1"),
    whole("chunked-upper-hex", CHUNKED + b"1A\r\n%b\r\n0\r\n\r\n" % (b"x" * 26), b"x" * 26,
          "9112 7.1"),
    whole("chunked-many", CHUNKED + b"1\r\nx\r\n" * 500 + b"0\r\n\r\n", b"x" * 500, "9112 7.1"),
    whole("until-close", OK + b"\r\nall of it", b"all of it", "9112 6.3", then="closes"),
    whole("until-close-empty", OK + b"\r\n", b"", "9112 6.3", then="closes"),
    whole("no-reason", b"HTTP/1.1 200 \r\n" + LENGTH_2, b"ok", "9112 4"),
    whole("no-reason-no-space", b"HTTP/1.1 200\r\n" + LENGTH_2, b"ok", "9112 4: seen in the wild"),
    whole("reason-obs-text", b"HTTP/1.1 200 \xe9t\xe9\r\n" + LENGTH_2, b"ok", "9112 4"),
    whole("reason-odd", b"HTTP/1.1 200 Not Found\r\n" + LENGTH_2, b"ok", "9112 4: ignored"),
    whole("version-1.0", b"HTTP/1.0 200 OK\r\n" + LENGTH_2, b"ok", "9112 2.3"),
    whole("version-1.0-until-close", b"HTTP/1.0 200 OK\r\n\r\nok", b"ok", "9112 6.3", then="closes"),
    whole("version-1.0-keep-alive", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH_2,
          b"ok", "9112 C.2.2"),
    whole("1.0-client-length", OK + LENGTH_2, b"ok", "9112 2.3", version="1.0"),
    whole("1.0-client-chunked", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok",
          "9112 6.1: never chunked to 1.0", version="1.0"),
    whole("1.0-client-until-close", OK + b"\r\nok", b"ok", "9112 6.3", version="1.0", then="closes"),
    whole("head-with-length", OK + b"Content-Length: 5000\r\n\r\n", b"", "9110 9.3.2", method="HEAD"),
    whole("head-chunked", CHUNKED, b"", "9110 9.3.2", method="HEAD"),
    whole("head-without-length", OK + b"\r\n", b"", "9110 9.3.2", method="HEAD"),
    whole("options", OK + LENGTH_2, b"ok", "9110 9.3.7", method="OPTIONS"),
    whole("interim-100", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH_2, b"ok", "9110 15.2"),
    whole("interim-102", b"HTTP/1.1 102 Processing\r\n\r\n" + OK + LENGTH_2, b"ok", "9110 15.2"),
    whole("interim-103", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + LENGTH_2, b"ok",
          "8297"),
    whole("1.0-client-interim-103", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + LENGTH_2,
          b"ok", "9110 15.2: none to 1.0", version="1.0"),
    whole("interim-199", b"HTTP/1.1 199 Soon\r\n\r\n" + OK + LENGTH_2, b"ok", "9110 15.2"),
    whole("interim-three", b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: </a>\r\n\r\n"
          b"HTTP/1.1 103 E\r\n\r\n" + CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok", "9110 15.2"),
    whole("fields-200", OK + b"X: y\r\n" * 200 + LENGTH_2, b"ok", "9110 5.4"),
    whole("field-8-kb", OK + b"X: " + b"y" * 8000 + b"\r\n" + LENGTH_2, b"ok", "9110 5.4"),
    whole("field-obs-text", OK + b"X: \xe9\xff\r\n" + LENGTH_2, b"ok", "9110 5.5"),
    whole("field-empty", OK + b"X:\r\n" + LENGTH_2, b"ok", "9110 5.5"),
    whole("set-cookie-twice", OK + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n" + LENGTH_2, b"ok",
          "9110 5.3"),
    whole("upgrade-offered", OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + LENGTH_2, b"ok",
          "9110 7.8: an offer"),
    whole("binary-body", OK + b"Content-Length: 256\r\n\r\n" + bytes(range(256)),
          bytes(range(256)), "9112 6"),
    whole("body-like-an-answer", OK + b"Content-Length: %d\r\n\r\n%b" % (len(POISON), POISON), POISON,
          "9112 6.3"),
    whole("500-kb", OK + b"Content-Length: 500000\r\n\r\n" + b"z" * 500_000, b"z" * 500_000, "9112 6"),
    UpstreamCase("whole-204", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), "9110 15.3.5"),
    UpstreamCase("whole-205", b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", (205, b""),
                 "9110 15.3.6"),
    UpstreamCase("whole-304", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", (304, b""),
                 "9110 15.4.5"),
    UpstreamCase("whole-304-with-length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
                 (304, b""), "9112 6.3: the length is that of a 200"),
    UpstreamCase("whole-404", b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", (404, b"no"),
                 "9110 15.5.5"),
    UpstreamCase("whole-599", b"HTTP/1.1 599 X\r\nContent-Length: 2\r\n\r\nno", (599, b"no"),
                 "9110 15: treated as 500"),
    UpstreamCase("whole-500", b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", (500, b"no"),
                 "9110 15.6.1"),
    UpstreamCase("whole-503", b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\nno",
                 (503, b"no"), "9110 15.6.4"),
    whole("fields-named", OK + b"Connection: Content-Length, X\r\nX: y\r\n" + LENGTH_2, b"ok",
          "9110 7.6.1: the body keeps its length"),
    whole("coding-named", OK + b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"2\r\nok\r\n0\r\n\r\n", b"ok", "9110 7.6.1"),
    # Status lines
    bad("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", "9112 4"),
    bad("tls-alert", b"\x15\x03\x01\x00\x02\x02\x46", "9112 4"),
    bad("bare-html", b"<html>hello</html>", "9112 4: no HTTP/0.9"),
    bad("bare-html-closed", b"<html>hello</html>", "9112 4", "closes"),
    bad("json", b'{"a": 1}\r\n\r\n', "9112 4"),
    bad("http-2-frame", b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00", "9112 4"),
    bad("redis", b"-ERR unknown command\r\n", "9112 4"),
    bad("smtp", b"220 mail ready\r\n", "9112 4"),
    bad("nul", b"\x00" * 20, "9112 4"),
    bad("crlf-first", b"\r\n" + OK + LENGTH_2, "9112 4"),
    bad("lf-first", b"\n" + OK + LENGTH_2, "9112 4"),
    bad("space-first", b" " + OK + LENGTH_2, "9112 4"),
    bad("a-request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "9112 4"),
    bad("line-lower-case", b"http/1.1 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-icy", b"ICY 200 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-rtsp", b"RTSP/1.0 200 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-ice", b"ICE/1.0 200 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-version-0.9", b"HTTP/0.9 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-version-2.0", b"HTTP/2.0 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-version-2", b"HTTP/2 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-version-9.9", b"HTTP/9.9 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-version-none", b"HTTP/ 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-version-long", b"HTTP/1.10 200 OK\r\n" + LENGTH_2, "9112 2.3"),
    bad("line-two-spaces", b"HTTP/1.1  200 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-tab", b"HTTP/1.1\t200 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-no-status", b"HTTP/1.1 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-empty-status", b"HTTP/1.1 \r\n" + LENGTH_2, "9112 4"),
    bad("line-two-digits", b"HTTP/1.1 20 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-four-digits", b"HTTP/1.1 2000 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-letters", b"HTTP/1.1 2x0 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-plus", b"HTTP/1.1 +20 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-minus", b"HTTP/1.1 -20 OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-glued-reason", b"HTTP/1.1 200OK\r\n" + LENGTH_2, "9112 4"),
    bad("line-status-000", b"HTTP/1.1 000 X\r\n" + LENGTH_2, "9110 15"),
    bad("line-status-099", b"HTTP/1.1 099 X\r\n" + LENGTH_2, "9110 15"),
    bad("line-status-600", b"HTTP/1.1 600 X\r\n" + LENGTH_2, "9110 15"),
    bad("line-status-999", b"HTTP/1.1 999 X\r\n" + LENGTH_2, "9110 15"),
    bad("line-bare-lf", b"HTTP/1.1 200 OK\n" + LENGTH_2, "9112 2.2"),
    bad("line-bare-lf-everywhere", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "9112 2.2"),
    bad("line-bare-cr", b"HTTP/1.1 200 OK\rX: y\r\n" + LENGTH_2, "9112 2.2"),
    bad("line-nul-in-reason", b"HTTP/1.1 200 O\x00K\r\n" + LENGTH_2, "9112 4"),
    bad("line-escape-in-reason", b"HTTP/1.1 200 \x1b[31m\r\n" + LENGTH_2, "9112 4"),
    # Fields
    field("fold", b"X: a\r\n b", "9112 5.2: or replaced by SP"),
    field("fold-first", b" X: a", "9112 5.2"),
    field("space-before-colon", b"X : a", "9112 5.1: or removed"),
    field("tab-before-colon", b"X\t: a", "9112 5.1"),
    field("no-colon", b"X", "9112 5"),
    field("name-empty", b": a", "9110 5.1"),
    field("name-with-space", b"X Y: a", "9110 5.1"),
    field("name-with-nul", b"X\x00: a", "9110 5.1"),
    field("name-not-a-token", b"X(): a", "9110 5.6.2"),
    field("name-non-ascii", b"X\xe9: a", "9110 5.1"),
    field("value-with-nul", b"X: a\x00b", "9110 5.5"),
    field("value-with-bare-cr", b"X: a\rb", "9110 5.5: response splitting"),
    field("value-with-bare-lf", b"X: a\nY: b", "9112 2.2: response splitting"),
    field("value-cr-splits", b"X: a\r\rHTTP/1.1 200 OK", "9112 2.2"),
    field("value-with-escape", b"X: \x1b", "9110 5.5"),
    field("value-with-control", b"X: \x01", "9110 5.5"),
    field("value-with-delete", b"X: \x7f", "9110 5.5"),
    field("value-with-form-feed", b"X: \x0c", "9110 5.5"),
    bad("field-lf-end", OK + b"Content-Length: 2\r\n\nok", "9112 2.2"),
    bad("field-cr-end", OK + b"Content-Length: 2\r\n\rok", "9112 2.2"),
    bad("head-of-2-mb", OK + b"X: " + b"y" * 2_000_000 + b"\r\n" + LENGTH_2, "bounded"),
    bad("head-of-20000-fields", OK + b"X: y\r\n" * 20_000 + LENGTH_2, "bounded"),
    bad("head-without-end", OK + b"X: y\r\n" * 100_000, "bounded"),
    bad("line-without-end", b"HTTP/1.1 200 " + b"O" * 200_000, "bounded"),
    bad("interim-flood", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "bounded"),
    bad("interim-103-flood", b"HTTP/1.1 103 E\r\nLink: </a>\r\n\r\n" * 4000, "bounded"),
    bad("interim-with-length", b"HTTP/1.1 100 C\r\nContent-Length: 2\r\n\r\nok" + OK + LENGTH_2,
        "9110 8.6"),
    bad("interim-103-with-length", b"HTTP/1.1 103 E\r\nContent-Length: 2\r\n\r\nok" + OK + LENGTH_2,
        "9110 8.6"),
    bad("interim-chunked", b"HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK
        + LENGTH_2, "9112 6.1"),
    bad("interim-then-close", b"HTTP/1.1 100 Continue\r\n\r\n", "9110 15.2", "closes"),
    bad("interim-then-garbage", b"HTTP/1.1 100 Continue\r\n\r\ngarbage", "9112 4"),
    bad("101-unasked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "9110 15.2.2"),
    bad("101-without-upgrade", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "9110 15.2.2"),
    # Framing
    length("plus", b"Content-Length: +2", "9110 8.6"),
    length("minus", b"Content-Length: -2", "9110 8.6"),
    length("hex", b"Content-Length: 0x2", "9110 8.6"),
    length("letters", b"Content-Length: two", "9110 8.6"),
    length("empty", b"Content-Length:", "9110 8.6"),
    length("space-inside", b"Content-Length: 2 2", "9110 8.6"),
    length("list", b"Content-Length: 2, 2", "9112 6.3: MAY collapse, refused"),
    length("list-different", b"Content-Length: 2, 3", "9112 6.3: 502"),
    length("twice-the-same", b"Content-Length: 2\r\nContent-Length: 2", "9112 6.3"),
    length("twice-different", b"Content-Length: 2\r\nContent-Length: 3", "9112 6.3: 502"),
    length("twice-in-other-case", b"Content-Length: 2\r\ncontent-length: 0", "9112 6.3"),
    length("overflow", b"Content-Length: 18446744073709551618", "9112 6.2"),
    length("60-nines", b"Content-Length: " + b"9" * 60, "9112 6.2"),
    length("19-digits", b"Content-Length: 9223372036854775809", "9112 6.2"),
    length("full-width-digit", "Content-Length: ２".encode(), "9110 8.6"),
    length("nul", b"Content-Length: 2\x00", "9110 5.5"),
    coding("with-length", b"Content-Length: 2\r\nTransfer-Encoding: chunked", "9112 6.3"),
    coding("with-length-after", b"Transfer-Encoding: chunked\r\nContent-Length: 2", "9112 6.3"),
    bad("coding-in-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "9112 6.1: faulty in HTTP/1.0"),
    coding("gzip", b"Transfer-Encoding: gzip", "9112 6.1: no client asked for it"),
    coding("gzip-chunked", b"Transfer-Encoding: gzip, chunked", "9112 6.1"),
    coding("identity", b"Transfer-Encoding: identity", "9112 7"),
    coding("xchunked", b"Transfer-Encoding: xchunked", "9112 6.1"),
    coding("chunked-twice", b"Transfer-Encoding: chunked, chunked", "9112 7.1"),
    coding("two-fields", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "9112 7.1"),
    coding("two-fields-identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
           "9112 6.1"),
    coding("empty", b"Transfer-Encoding:", "9112 6.1"),
    coding("vertical-tab", b"Transfer-Encoding: \x0bchunked", "9110 5.5"),
    coding("tab-after", b"Transfer-Encoding: chunked\t", "9112 5.1: legal, of no known sender"),
    coding("parameter", b"Transfer-Encoding: chunked;a=b", "9112 7.1"),
    # Silence and ends before an answer
    bad("closed-at-once", b"", "9110 15.6.3", "closes"),
    bad("reset-at-once", b"", "9110 15.6.3", "resets"),
    bad("closed-in-the-line", b"HTTP/1.1 20", "9112 8", "closes"),
    bad("reset-in-the-line", b"HTTP/1.1 20", "9112 8", "resets"),
    bad("closed-in-a-field", OK + b"Content-Le", "9112 8", "closes"),
    bad("reset-in-a-field", OK + b"Content-Le", "9112 8", "resets"),
    UpstreamCase("slow-silent", b"", 504, "9110 15.6.5"),
    UpstreamCase("slow-in-the-line", b"HTTP/1.1 20", 504, "9110 15.6.5"),
    UpstreamCase("slow-in-a-field", OK + b"Content-Le", 504, "9110 15.6.5"),
    UpstreamCase("slow-after-interim", b"HTTP/1.1 100 Continue\r\n\r\n", 504, "9110 15.6.5"),
    # Ends in the middle of an answer
    cut("length-short", OK + b"Content-Length: 100\r\n\r\npart", "9112 8", "closes"),
    cut("length-short-reset", OK + b"Content-Length: 100\r\n\r\npart", "9112 8", "resets"),
    cut("length-none-of-it", OK + b"Content-Length: 100\r\n\r\n", "9112 8", "closes"),
    cut("length-stalls", OK + b"Content-Length: 100\r\n\r\npart", "9112 8"),
    cut("chunked-short", CHUNKED + b"4\r\npart\r\n", "9112 8", "closes"),
    cut("chunked-short-reset", CHUNKED + b"4\r\npart\r\n", "9112 8", "resets"),
    cut("chunked-in-data", CHUNKED + b"a\r\npart", "9112 8", "closes"),
    cut("chunked-in-size", CHUNKED + b"4\r\npart\r\n1", "9112 8", "closes"),
    cut("chunked-before-last-crlf", CHUNKED + b"4\r\npart\r\n0\r\n", "9112 8", "closes"),
    cut("chunked-stalls", CHUNKED + b"4\r\npart\r\n", "9112 8"),
    cut("until-close-reset", OK + b"\r\npart", "9112 8", "resets"),
    *(
        cut(f"chunk-{name}", CHUNKED + b"4\r\npart\r\n" + rest, rule)
        for name, rest, rule in [
            ("size-letters", b"ZZ\r\n", "9112 7.1"),
            ("size-negative", b"-1\r\n", "9112 7.1"),
            ("size-0x", b"0x2\r\nok\r\n0\r\n\r\n", "9112 7.1"),
            ("size-empty", b"\r\nok\r\n0\r\n\r\n", "9112 7.1"),
            ("size-space", b"2 \r\nok\r\n0\r\n\r\n", "9112 7.1"),
            ("size-overflow", b"10000000000000002\r\nok\r\n0\r\n\r\n", "9112 7.1"),
            ("size-bare-lf", b"2\nok\r\n0\r\n\r\n", "9112 7.1"),
            ("data-too-long", b"2\r\nokXX\r\n0\r\n\r\n", "9112 7.1"),
            ("data-then-lf", b"2\r\nok\n0\r\n\r\n", "9112 7.1"),
            ("extension-lf", b"2;a\nok\r\n0\r\n\r\n", "9112 7.1.1"),
            ("extension-of-200-kb", b"2;a=" + b"b" * 200_000, "bounded"),
            ("trailers-without-end", b"0\r\n" + b"X: y\r\n" * 40_000, "bounded"),
            ("trailer-bad", b"0\r\nX : y\r\n\r\n", "9112 5.1"),
            ("trailer-fold", b"0\r\nX: y\r\n z\r\n\r\n", "9112 5.2"),
        ]
    ),
    # Bytes beyond the answer
    *extra("length", OK + LENGTH_2, (200, b"ok"), "9112 9.3: not of any request"),
    *extra("length-zero", OK + b"Content-Length: 0\r\n\r\n", (200, b""), "9112 9.3"),
    *extra("chunked", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", (200, b"ok"), "9112 9.3"),
    *extra("204", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b""), "9112 9.3"),
    *extra("304", b"HTTP/1.1 304 Not Modified\r\n\r\n", (304, b""), "9112 9.3"),
    *extra("head", OK + b"Content-Length: 2\r\n\r\n", (200, b""), "9112 9.3", "HEAD"),
    *extra("204-with-length", b"HTTP/1.1 204 N\r\nContent-Length: %d\r\n\r\n" % len(POISON),
           (204, b""), "9112 6.3: no body whatever it says"),
    *extra("204-chunked", b"HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n", (204, b""),
           "9112 6.1"),
    *extra("304-with-body", b"HTTP/1.1 304 N\r\nContent-Length: %d\r\n\r\n" % len(POISON),
           (304, b""), "9112 6.3"),
    *extra("head-with-body", OK + b"Content-Length: 2\r\n\r\nok", (200, b""), "9110 9.3.2", "HEAD"),
    *extra("head-chunked-with-body", CHUNKED + b"2\r\nok\r\n0\r\n\r\n", (200, b""), "9110 9.3.2",
           "HEAD"),
    UpstreamCase("extra-longer-than-said", OK + LENGTH_2 + b"MORE", (200, b"ok"), "9112 6.3"),
    UpstreamCase("extra-crlf", OK + LENGTH_2 + b"\r\n", (200, b"ok"), "9112 6.3"),
    UpstreamCase("extra-nul", OK + LENGTH_2 + b"\x00", (200, b"ok"), "9112 6.3"),
    UpstreamCase("extra-half-an-answer", OK + LENGTH_2 + b"HTTP/1.1 200 OK\r\nContent-Le",
                 (200, b"ok"), "9112 9.3"),
]  # fmt: skip
