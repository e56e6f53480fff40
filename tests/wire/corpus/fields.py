"""Field lines, Host, and the limits of a head: RFC 9112 sections 5 and 3.2, 9110 section 5."""

from .model import Case, Forwarded, forwarded

GET = forwarded(b"GET / HTTP/1.1")
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


def field(name: str, line: bytes, expected: bytes | int, rule: str) -> Case:
    """`expected` is the field that reaches the origin; an empty one is none."""
    verdict: Forwarded | int = 400
    if isinstance(expected, int):
        verdict = expected
    else:
        verdict = forwarded(b"GET / HTTP/1.1", *(expected.split(b"\r\n") if expected else []))
    return Case(f"field-{name}", HEAD + line + b"\r\n\r\n", (verdict,), rule)


def host(name: str, lines: bytes, expected: bytes | int, rule: str) -> Case:
    verdict = (
        forwarded(b"GET / HTTP/1.1", host=expected) if isinstance(expected, bytes) else expected
    )
    return Case(f"host-{name}", b"GET / HTTP/1.1\r\n" + lines + b"\r\n", (verdict,), rule)


CASES = [
    field("plain", b"X-A: b", b"X-A: b", "9112 5"),
    field("name-case-is-kept", b"x-A: B", b"x-a: B", "9110 5.1"),
    field("no-space-after-colon", b"X:b", b"X: b", "9112 5.1"),
    field("spaces-around-value", b"X: \t b \t ", b"X: b", "9112 5.1: OWS"),
    field("value-empty", b"X:", b"X:", "9110 5.5"),
    field("value-only-space", b"X: \t ", b"X:", "9110 5.5"),
    field("value-with-tab-inside", b"X: a\tb", b"X: a\tb", "9110 5.5"),
    field("value-with-colon", b"X: a: b", b"X: a: b", "9110 5.5"),
    field("value-obs-text", b"X: \xe9\xff", b"X: \xe9\xff", "9110 5.5: opaque"),
    field("value-quoted", b'X: "a, \\"b"', b'X: "a, \\"b"', "9110 5.6.4"),
    field("name-with-all-token-signs", b"!#$%&'*+-.^_`|~9: a", b"!#$%&'*+-.^_`|~9: a", "9110 5"),
    field("name-with-underscore", b"X_A: b", b"X_A: b", "9110 5.6.2: a token"),
    field("repeated", b"X: a\r\nX: b", b"X: a\r\nX: b", "9110 5.3"),
    field("name-200-bytes", b"X" * 200 + b": a", b"X" * 200 + b": a", "9112 5"),
    field("value-4-kb", b"X: " + b"v" * 4096, b"X: " + b"v" * 4096, "9110 5.4"),
    field("space-before-colon", b"X : a", 400, "9112 5.1: MUST be rejected"),
    field("tab-before-colon", b"X\t: a", 400, "9112 5.1"),
    field("space-in-name", b"X Y: a", 400, "9110 5.1"),
    field("content-length-space-before-colon", b"Content-Length : 5", 400, "9112 5.1"),
    field("transfer-encoding-space-before-colon", b"Transfer-Encoding : chunked", 400, "9112 5.1"),
    field("transfer-encoding-tab-before-colon", b"Transfer-Encoding\t: chunked", 400, "9112 5.1"),
    field("no-colon", b"X", 400, "9112 5"),
    field("no-colon-with-value", b"X a", 400, "9112 5"),
    field("only-colon", b":", 400, "9110 5.1"),
    field("name-empty", b": a", 400, "9110 5.1"),
    field("name-space", b" : a", 400, "9112 5.2"),
    field("name-with-nul", b"X\x00Y: a", 400, "9110 5.1"),
    field("name-ends-with-nul", b"Transfer-Encoding\x00: chunked", 400, "9110 5.1"),
    field("name-with-control", b"X\x01: a", 400, "9110 5.1"),
    field("name-with-delete", b"X\x7f: a", 400, "9110 5.1"),
    field("name-non-ascii", b"X\xe9: a", 400, "9110 5.1"),
    field("name-in-brackets", b"X[1]: a", 400, "9110 5.6.2"),
    field("name-in-parentheses", b"X(1): a", 400, "9110 5.6.2"),
    field("name-with-slash", b"X/Y: a", 400, "9110 5.6.2"),
    field("name-with-at", b"X@Y: a", 400, "9110 5.6.2"),
    field("name-with-comma", b"X,Y: a", 400, "9110 5.6.2"),
    field("name-with-semicolon", b"X;Y: a", 400, "9110 5.6.2"),
    field("name-with-equals", b"X=Y: a", 400, "9110 5.6.2"),
    field("name-quoted", b'"X": a', 400, "9110 5.6.2"),
    field("name-with-backslash", b"X\\Y: a", 400, "9110 5.6.2"),
    field("name-with-form-feed", b"X\x0c: a", 400, "9110 5.1"),
    field("value-with-nul", b"X: a\x00b", 400, "9110 5.5"),
    field("value-ends-with-nul", b"X: a\x00", 400, "9110 5.5"),
    field("value-with-control-1", b"X: a\x01b", 400, "9110 5.5"),
    field("value-with-backspace", b"X: a\x08b", 400, "9110 5.5"),
    field("value-with-vertical-tab", b"X: a\x0bb", 400, "9110 5.5"),
    field("value-with-form-feed", b"X: a\x0cb", 400, "9110 5.5"),
    field("value-with-escape", b"X: a\x1bb", 400, "9110 5.5"),
    field("value-with-delete", b"X: a\x7fb", 400, "9110 5.5"),
    field("value-with-bare-cr", b"X: a\rb", 400, "9110 5.5"),
    field("value-ends-with-two-crs", b"X: a\r", 400, "9112 2.2"),
    field("value-with-bare-lf", b"X: a\nY: b", 400, "9112 2.2: MAY accept, refused"),
    field("value-cr-smuggles-a-field", b"X: a\rTransfer-Encoding: chunked", 400, "9112 2.2"),
    field("value-lf-smuggles-a-field", b"X: a\nTransfer-Encoding: chunked", 400, "9112 2.2"),
    field("fold", b"X: a\r\n b", 400, "9112 5.2"),
    field("fold-tab", b"X: a\r\n\tb", 400, "9112 5.2"),
    field("fold-empty-value", b"X:\r\n a", 400, "9112 5.2"),
    field("fold-only-space", b"X: a\r\n ", 400, "9112 5.2"),
    field("fold-hides-transfer-encoding", b"X: a\r\n Transfer-Encoding: chunked", 400, "9112 5.2"),
    field("fold-after-host", b" X: a", 400, "9112 5.2"),
    field("fold-transfer-encoding", b"Transfer-Encoding:\r\n chunked", 400, "9112 5.2"),
    field("fold-content-length", b"Content-Length: 1\r\n 0", 400, "9112 5.2"),
    Case("field-lf-before-end", HEAD + b"X: a\r\n\n", (400,), "9112 2.2"),
    Case("field-cr-before-end", HEAD + b"X: a\r\n\r\r\n", (400,), "9112 2.2"),
    Case("field-lf-only-end", HEAD + b"X: a\n\n", (400,), "9112 2.2"),
    Case("field-cr-only-end", HEAD + b"X: a\r\r", (400,), "9112 2.2"),
    # Limits
    Case(
        "limit-60-fields",
        HEAD + b"".join(b"X-%d: v\r\n" % n for n in range(60)) + b"\r\n",
        (forwarded(b"GET / HTTP/1.1", *(b"X-%d: v" % n for n in range(60))),),
        "9110 5.4",
    ),
    Case("limit-101-fields", HEAD + b"X: v\r\n" * 100 + b"\r\n", (431,), "6585 5"),
    Case("limit-5000-fields", HEAD + b"X: v\r\n" * 5000 + b"\r\n", (431,), "6585 5"),
    Case("limit-value-of-100-kb", HEAD + b"X: " + b"v" * 100_000 + b"\r\n\r\n", (431,), "6585 5"),
    Case("limit-value-of-1-mb", HEAD + b"X: " + b"v" * 1_000_000 + b"\r\n\r\n", (431,), "6585 5"),
    Case("limit-name-of-100-kb", HEAD + b"X" * 100_000 + b": v\r\n\r\n", (431,), "6585 5"),
    Case("limit-head-without-end", HEAD + b"X: v\r\n" * 40_000, (431,), "6585 5"),
    Case("limit-value-without-end", HEAD + b"X: " + b"v" * 300_000, (431,), "6585 5"),
    # Host
    host("name-and-port", b"Host: shop.example:8080\r\n", b"shop.example:8080", "9110 7.2"),
    host("ipv4", b"Host: 127.0.0.1\r\n", b"127.0.0.1", "3986 3.2.2"),
    host("ipv6", b"Host: [::1]:80\r\n", b"[::1]:80", "3986 3.2.2"),
    host("empty-port", b"Host: a:\r\n", b"a:", "3986 3.2.3"),
    host("upper-case-name", b"HOST: A.Example\r\n", b"A.Example", "9110 5.1"),
    host("spaces-around", b"Host: \t a \r\n", b"a", "9112 5.1"),
    host("missing", b"", 400, "9112 3.2"),
    host("missing-with-others", b"X: a\r\n", 400, "9112 3.2"),
    host("twice", b"Host: a\r\nHost: b\r\n", 400, "9112 3.2"),
    host("twice-the-same", b"Host: a\r\nHost: a\r\n", 400, "9112 3.2"),
    host("twice-in-different-case", b"Host: a\r\nhOST: b\r\n", 400, "9112 3.2"),
    host("twice-one-empty", b"Host: a\r\nHost:\r\n", 400, "9112 3.2"),
    host("list", b"Host: a, b\r\n", 400, "9110 7.2"),
    host("space-inside", b"Host: a b\r\n", 400, "9110 7.2"),
    host("tab-inside", b"Host: a\tb\r\n", 400, "9110 7.2"),
    host("nul", b"Host: a\x00b\r\n", 400, "9110 5.5"),
    host("path", b"Host: a/b\r\n", 400, "9110 7.2"),
    host("query", b"Host: a?b\r\n", 400, "9110 7.2"),
    host("fragment", b"Host: a#b\r\n", 400, "9110 7.2"),
    host("userinfo", b"Host: user@a\r\n", 400, "9110 7.2"),
    host("url", b"Host: http://a/\r\n", 400, "9110 7.2"),
    host("backslash", b"Host: a\\b\r\n", 400, "9110 7.2"),
    host("quote", b'Host: a"b\r\n', 400, "9110 7.2"),
    host("angle-brackets", b"Host: <a>\r\n", 400, "9110 7.2"),
    host("port-letters", b"Host: a:b\r\n", 400, "3986 3.2.3"),
    host("port-negative", b"Host: a:-1\r\n", 400, "3986 3.2.3"),
    host("port-too-big", b"Host: a:65536\r\n", 400, "3986 3.2.3"),
    host("port-of-six-digits", b"Host: a:000080\r\n", 400, "3986 3.2.3"),
    host("two-ports", b"Host: a:80:81\r\n", 400, "3986 3.2.3"),
    host("ipv6-without-brackets", b"Host: ::1\r\n", 400, "3986 3.2.2"),
    host("ipv6-unclosed", b"Host: [::1\r\n", 400, "3986 3.2.2"),
    host("high-bytes", b"Host: \xe9.example\r\n", 400, "3986 3.2.2"),
    Case(
        "host-missing-in-1.0",
        b"GET / HTTP/1.0\r\n\r\n",
        (forwarded(b"GET / HTTP/1.1", host=b""),),
        "9112 3.2: only 1.1 must have one",
        closes=True,
    ),
    Case("host-twice-in-1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", (400,), "9112 3.2"),
]  # fmt: skip
