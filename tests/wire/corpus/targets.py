"""Request targets: RFC 9112 section 3.2."""

from .model import Case, forwarded


def target(name: str, sent: bytes, expected: bytes | int, rule: str, *, host: bytes = b"a") -> Case:
    """`expected` is the target that reaches the origin."""
    verdict = (
        forwarded(b"GET %b HTTP/1.1" % expected, host=host)
        if isinstance(expected, bytes)
        else expected
    )
    return Case(f"target-{name}", b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % sent, (verdict,), rule)


def same(name: str, sent: bytes, rule: str) -> Case:
    return target(name, sent, sent, rule)


CASES = [
    same("path", b"/a/b;c=1/d", "9112 3.2.1"),
    same("query", b"/a?b=c&d=%20e?f", "9112 3.2.1"),
    same("query-empty", b"/?", "9112 3.2.1"),
    same("two-slashes", b"//a/b", "9112 3.2.1: no authority there"),
    same("dot-segments", b"/a/../b/./c", "9110 7.7: a proxy MUST NOT modify the path"),
    same("dot-segments-encoded", b"/a/%2e%2e/b", "9110 7.7"),
    same("slash-encoded", b"/a%2Fb", "9110 7.7"),
    same("percent-nul", b"/a%00b", "9110 7.7"),
    same("percent-crlf", b"/a%0d%0aX:%20y", "9110 7.7"),
    same("percent-odd", b"/%zz%", "9110 7.7"),
    same("url-in-path", b"/http://b/", "9112 3.2.1"),
    same("signs", b"/-._~!$&'()*+,;=:@", "3986 3.3"),
    same("signs-no-uri-has", b'/"<>\\^`{|}', "9112 3.2: sent by browsers, has one meaning"),
    same("encoded-fragment", b"/a%23b", "9110 7.7"),
    target("fragment", b"/a#b", 400, "9112 3.2: no fragment"),
    target("fragment-only", b"#a", 400, "9112 3.2"),
    target("nul", b"/a\x00b", 400, "9112 3.2"),
    target("control-character", b"/a\x01b", 400, "9112 3.2"),
    target("escape", b"/a\x1b[31mb", 400, "9112 3.2: would reach the log"),
    target("delete", b"/a\x7fb", 400, "9112 3.2"),
    target("high-byte", b"/\xe9", 400, "3986 2: ASCII"),
    target("utf-8", "/é".encode(), 400, "3986 2"),
    target("lf", b"/a\nb", 400, "9112 2.2"),
    target("without-slash", b"a/b", 400, "9112 3.2.1"),
    target("backslash", b"\\a", 400, "9112 3.2.1"),
    target("query-without-path", b"?a=b", 400, "9112 3.2.1"),
    target("dots-without-slash", b"../../etc/passwd", 400, "9112 3.2.1"),
    target("asterisk-with-get", b"*", 400, "9112 3.2.4: OPTIONS only"),
    target("authority-with-get", b"a:80", 400, "9112 3.2.3: CONNECT only"),
    target("host-with-get", b"a.example", 400, "9112 3.2.3"),
    # absolute-form
    target("absolute", b"http://a/b?c", b"/b?c", "9112 3.2.2"),
    target("absolute-https", b"https://a/b", b"/b", "9112 3.2.2"),
    target("absolute-upper-case-scheme", b"HTTP://a/b", b"/b", "3986 3.1"),
    target("absolute-without-path", b"http://a", b"/", "9112 3.2.1"),
    target("absolute-query-without-path", b"http://a?b", b"/?b", "9112 3.2.1"),
    target(
        "absolute-other-host",
        b"http://other.example:81/b",
        b"/b",
        "9112 3.2.2: Host is replaced; nothing is fetched from there",
        host=b"other.example:81",
    ),
    target("absolute-ipv6", b"http://[::1]:80/b", b"/b", "3986 3.2.2", host=b"[::1]:80"),
    target("absolute-metadata-address", b"http://169.254.169.254/", b"/", "9112 3.2.2",
           host=b"169.254.169.254"),
    target("absolute-userinfo", b"http://user:pw@a/b", 400, "9110 4.2.4"),
    target("absolute-userinfo-confusion", b"http://a@evil/b", 400, "9110 4.2.4"),
    target("absolute-empty-authority", b"http:///b", 400, "9110 4.2.1"),
    target("absolute-port-only", b"http://:80/b", 400, "9110 4.2.1"),
    target("absolute-bad-port", b"http://a:x/b", 400, "3986 3.2.3"),
    target("absolute-port-too-big", b"http://a:65536/b", 400, "3986 3.2.3"),
    target("absolute-two-ports", b"http://a:80:81/b", 400, "3986 3.2.3"),
    target("absolute-backslash", b"http://a\\b/c", 400, "3986 3.2.2"),
    target("absolute-fragment", b"http://a/b#c", 400, "9112 3.2.2"),
    target("absolute-ftp", b"ftp://a/b", 400, "9110 4.2: not ours"),
    target("absolute-file", b"file:///etc/passwd", 400, "9110 4.2"),
    target("absolute-javascript", b"javascript:alert(1)", 400, "9110 4.2"),
    target("absolute-one-slash", b"http:/a/b", 400, "9112 3.2.2"),
    target("absolute-broken-ipv6", b"http://[::1/b", 400, "3986 3.2.2"),
    Case(
        "target-options-asterisk",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        (forwarded(b"OPTIONS * HTTP/1.1"),),
        "9112 3.2.4",
    ),
    Case(
        "target-options-absolute",
        b"OPTIONS http://b:81 HTTP/1.1\r\nHost: a\r\n\r\n",
        (forwarded(b"OPTIONS * HTTP/1.1", host=b"b:81"),),
        "9112 3.2.4: the last proxy MUST send *",
    ),
    Case(
        "target-options-absolute-root",
        b"OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        (forwarded(b"OPTIONS / HTTP/1.1", host=b"b"),),
        "9112 3.2.4: only without a path",
    ),
    Case(
        "target-options-absolute-query",
        b"OPTIONS http://b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        (forwarded(b"OPTIONS /?c HTTP/1.1", host=b"b"),),
        "9112 3.2.4: nor a query",
    ),
    Case("target-asterisk-with-post", b"POST * HTTP/1.1\r\nHost: a\r\n\r\n", (400,), "9112 3.2.4"),
    Case(
        "target-absolute-bad-host-field",
        b"GET http://a/ HTTP/1.1\r\nHost: b c\r\n\r\n",
        (400,),
        "9112 3.2: invalid Host whatever the target",
    ),
    Case(
        "target-absolute-without-host-field",
        b"GET http://a/ HTTP/1.1\r\n\r\n",
        (400,),
        "9112 3.2: Host even then",
    ),
    Case(
        "target-absolute-in-1.0-without-host",
        b"GET http://a/b HTTP/1.0\r\n\r\n",
        (forwarded(b"GET /b HTTP/1.1"),),
        "9112 3.2.2",
        closes=True,
    ),
    Case(
        "target-connect-with-body",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (405,),
        "9110 9.3.6",
    ),
    Case(
        "target-trace-with-body",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (400,),
        "9110 9.3.8: MUST NOT have content",
    ),
]  # fmt: skip
