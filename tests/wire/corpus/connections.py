"""Fields that stop here, several requests on a connection, and its end: 9110 7.6, 9112 9."""

from .model import Case, forwarded

GET = forwarded(b"GET / HTTP/1.1")
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def stops(name: str, lines: bytes, *kept: bytes, rule: str, closes: bool = False) -> Case:
    """Of these fields only `kept` reach the origin."""
    sent = HEAD + lines + b"\r\n"
    return Case(f"hop-{name}", sent, (forwarded(b"GET / HTTP/1.1", *kept),), rule, closes=closes)


def path(target: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target


CASES = [
    stops("named", b"Connection: X-Secret\r\nX-Secret: 1\r\nX-Kept: 2\r\n", b"X-Kept: 2",
          rule="9110 7.6.1"),
    stops("named-in-other-case", b"Connection: x-SECRET\r\nX-Secret: 1\r\n", rule="9110 7.6.1"),
    stops("named-after-the-field", b"X-Secret: 1\r\nConnection: X-Secret\r\n", rule="9110 7.6.1"),
    stops("named-with-close", b"Connection: close, X-Secret\r\nX-Secret: 1\r\n", rule="9110 7.6.1",
          closes=True),
    stops("named-in-two-fields", b"Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 1\r\n",
          rule="9110 7.6.1"),
    stops("named-with-empty-elements", b"Connection: , X-A, ,\r\nX-A: 1\r\n", rule="9110 5.6.1"),
    stops("host-named-stays", b"Connection: Host\r\n", rule="9110 7.6.1: never Host"),
    stops("forwarded-for-named-stays-ours", b"Connection: X-Forwarded-For\r\n",
          rule="9110 7.6.1: our own is added after"),
    stops("keep-alive", b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", rule="9110 7.6.1"),
    stops("keep-alive-not-named", b"Keep-Alive: timeout=5\r\n", rule="9110 7.6.1"),
    stops("proxy-connection", b"Proxy-Connection: keep-alive\r\n", rule="9110 7.6.1"),
    stops("te", b"TE: trailers, gzip\r\nConnection: TE\r\n", rule="9110 10.1.4"),
    stops("te-not-named", b"TE: gzip\r\n", rule="9110 10.1.4"),
    stops("trailer", b"Trailer: X\r\n", rule="9110 6.6.2"),
    stops("proxy-authorization", b"Proxy-Authorization: Basic x\r\n", rule="9110 11.7.2"),
    stops("upgrade-h2c", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
          b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n", rule="9110 7.8: never passed on"),
    stops("upgrade-h2c-with-settings-unnamed", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
          b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n", rule="9110 7.8"),
    stops("upgrade-to-tls", b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", rule="2817 3"),
    stops("own-fields-named", b"Connection: X-Request-Id, Traceparent, X-Forwarded-Proto, Via\r\n",
          rule="9110 7.6.1: our own are added after"),
    stops("upgrade-without-connection", b"Upgrade: h2c\r\n", rule="9110 7.8"),
    stops("upgrade-to-something", b"Connection: Upgrade\r\nUpgrade: foo/2\r\n", rule="9110 7.8"),
    stops("forwarded-for-forged", b"X-Forwarded-For: 6.6.6.6\r\n", rule="7239 8.1: replaced"),
    stops("forwarded-for-forged-twice", b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\n",
          rule="7239 8.1"),
    stops("forwarded-forged", b"Forwarded: for=6.6.6.6\r\nX-Real-Ip: 6.6.6.6\r\n"
          b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n", rule="7239 8.1"),
    stops("request-timeout-forged", b"X-Request-Timeout-Ms: 999999\r\n", rule="our own"),
    stops("close", b"Connection: close\r\n", rule="9112 9.6", closes=True),
    stops("close-in-other-case", b"CONNECTION: CLOSE\r\n", rule="9112 9.6", closes=True),
    stops("close-among-others", b"Connection: keep-alive, close\r\n", rule="9112 9.3", closes=True),
    stops("close-in-a-second-field", b"Connection: x\r\nConnection: close\r\n", rule="9112 9.3",
          closes=True),
    Case(
        "hop-1.0-keep-alive",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        (GET,),
        "9112 C.2.2",
    ),
    Case(
        "hop-framing-named",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),),
        "9110 7.6.1: the body keeps its length",
    ),
    Case(
        "hop-coding-named",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        (forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"hello"),),
        "9110 7.6.1",
    ),
    # Expect
    Case(
        "expect-continue",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        (100, forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello")),
        "9110 10.1.1",
    ),
    Case(
        "expect-continue-in-other-case",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello",
        (100, forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello")),
        "9110 10.1.1: case-insensitive",
    ),
    Case(
        "expect-continue-chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        (100, forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"hello")),
        "9110 10.1.1",
    ),
    Case(
        "expect-continue-in-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),),
        "9110 10.1.1: ignored in HTTP/1.0",
        closes=True,
    ),
    Case(
        "expect-continue-twice",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        (100, forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello")),
        "9110 10.1.1: a list",
    ),
    Case(
        "expect-continue-twice-in-one",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue , 100-continue\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        (100, forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello")),
        "9110 10.1.1",
    ),
    Case("expect-continue-without-body", HEAD + b"Expect: 100-continue\r\n\r\n", (GET,),
         "9110 10.1.1: nothing to wait for"),
    Case("expect-other", HEAD + b"Expect: 200-maybe\r\n\r\n", (417,), "9110 10.1.1"),
    Case("expect-continue-and-other", HEAD + b"Expect: 100-continue, x\r\n\r\n", (417,),
         "9110 10.1.1"),
    Case("expect-empty", HEAD + b"Expect:\r\n\r\n", (417,), "9110 10.1.1"),
    # Upgrades with bodies
    Case(
        "upgrade-body-is-no-request",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED),
        (
            forwarded(
                b"POST / HTTP/1.1", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED
            ),
        ),
        "9110 7.8",
    ),
    Case(
        "upgrade-chunked-body-is-no-request",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        (forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=SMUGGLED),),
        "9110 7.8",
    ),
    # Several requests
    Case(
        "pipeline-of-ten",
        b"".join(path(b"/%d" % n) for n in range(10)),
        tuple(forwarded(b"GET /%d HTTP/1.1" % n) for n in range(10)),
        "9112 9.3.2: in order",
    ),
    Case(
        "pipeline-with-bodies",
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + path(b"/2")
        + b"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        + path(b"/4"),
        (
            forwarded(b"POST /1 HTTP/1.1", b"Content-Length: 3", body=b"abc"),
            forwarded(b"GET /2 HTTP/1.1"),
            forwarded(b"POST /3 HTTP/1.1", b"Transfer-Encoding: chunked", body=b"abc"),
            forwarded(b"GET /4 HTTP/1.1"),
        ),
        "9112 9.3.2",
    ),
    Case(
        "pipeline-head-then-get",
        b"HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n" + path(b"/2"),
        (forwarded(b"HEAD /1 HTTP/1.1"), forwarded(b"GET /2 HTTP/1.1")),
        "9110 9.3.2: an answer to HEAD has no body",
    ),
    Case(
        "pipeline-good-then-bad",
        path(b"/1") + b"GET /2 HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        (forwarded(b"GET /1 HTTP/1.1"), 400),
        "9112 9.3.2: the good one is answered first",
    ),
    Case(
        "pipeline-good-then-garbage",
        path(b"/1") + b"\x00\x01\x02",
        (forwarded(b"GET /1 HTTP/1.1"), 400),
        "9112 9.3.2",
    ),
    Case(
        "pipeline-bad-then-good",
        b"GET /1 HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n" + path(b"/2"),
        (400,),
        "9112 9.3.2: nothing after it has a meaning",
    ),
    Case(
        "pipeline-after-close",
        HEAD + b"Connection: close\r\n\r\n" + path(b"/2"),
        (GET,),
        "9112 9.6: ignored",
        closes=True,
    ),
    Case(
        "pipeline-after-1.0",
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n" + path(b"/2"),
        (GET,),
        "9112 9.3",
        closes=True,
    ),
    Case(
        "pipeline-garbage-after-close",
        HEAD + b"Connection: close\r\n\r\n\x00\x00",
        (GET,),
        "9112 9.6: ignored",
        closes=True,
    ),
    Case(
        "pipeline-same-fields-other-target-refused",
        path(b"/1") + path(b"/2#"),
        (forwarded(b"GET /1 HTTP/1.1"), 400),
        "9112 3.2: known fields make no known request",
    ),
    Case(
        "pipeline-same-fields-odd-method",
        path(b"/1") + path(b"/2").replace(b"GET", b"SOURCE"),
        (forwarded(b"GET /1 HTTP/1.1"), 501),
        "9110 9.1",
    ),
    Case(
        "pipeline-body-shorter-than-said",
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        (
            forwarded(b"POST /1 HTTP/1.1", b"Content-Length: 3", body=b"abc"),
            forwarded(b"GET /2 HTTP/1.1"),
        ),
        "9112 6.3: exactly so many bytes",
    ),
    Case(
        "pipeline-body-longer-than-said",
        b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcd"
        + path(b"/2"),
        (forwarded(b"POST /1 HTTP/1.1", b"Content-Length: 3", body=b"abc"), 501),
        "9112 6.3: dGET is no method",
    ),
    # The client's end
    Case("end-half-close", path(b"/"), (GET,), "9112 9.6: still reads its answer", ends=True),
    Case(
        "end-half-close-after-two",
        path(b"/1") + path(b"/2"),
        (forwarded(b"GET /1 HTTP/1.1"), forwarded(b"GET /2 HTTP/1.1")),
        "9112 9.6",
        ends=True,
    ),
    Case(
        "end-half-close-after-a-body",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),),
        "9112 9.6",
        ends=True,
    ),
    Case("end-without-a-byte", b"", (), "9112 9.6", ends=True),
    Case("end-after-empty-lines", b"\r\n\r\n", (), "9112 9.6", ends=True),
    Case("end-in-the-line", b"GET / HT", (), "9112 8: incomplete", ends=True),
    Case("end-in-a-field", HEAD + b"X: y", (), "9112 8", ends=True),
    Case("end-before-the-last-lf", HEAD + b"\r", (), "9112 8", ends=True),
    Case("end-in-the-second", path(b"/") + b"GET /2 HT", (GET,), "9112 8", ends=True),
]  # fmt: skip
