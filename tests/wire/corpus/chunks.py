"""The chunked coding: RFC 9112 section 7.1."""

from .model import Case, forwarded

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(name: str, sent: bytes, expected: bytes | int, rule: str) -> Case:
    """`expected` is the body that reaches the origin."""
    verdict = (
        forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=expected)
        if isinstance(expected, bytes)
        else expected
    )
    return Case(f"chunk-{name}", HEAD + sent, (verdict,), rule)


def size(name: str, line: bytes, expected: bytes | int, rule: str) -> Case:
    """A chunk-size line before five bytes."""
    return chunks(f"size-{name}", line + b"hello\r\n0\r\n\r\n", expected, rule)


def trailer(name: str, lines: bytes, expected: bytes | int, rule: str) -> Case:
    return chunks(f"trailer-{name}", b"5\r\nhello\r\n0\r\n" + lines, expected, rule)


CASES = [
    size("plain", b"5\r\n", b"hello", "9112 7.1"),
    size("leading-zeros", b"0005\r\n", b"hello", "9112 7.1: 1*HEXDIG"),
    size("30-leading-zeros", b"0" * 30 + b"5\r\n", b"hello", "9112 7.1"),
    size("60000-zeros", b"0" * 60_000 + b"5\r\n", 431, "9112 7.1.1: bounded"),
    size("0x", b"0x5\r\n", 400, "9112 7.1: Python's int() takes it"),
    size("plus", b"+5\r\n", 400, "9112 7.1"),
    size("minus", b"-5\r\n", 400, "9112 7.1"),
    size("underscore", b"0_5\r\n", 400, "9112 7.1: Python's int() takes it"),
    size("empty", b"\r\n", 400, "9112 7.1"),
    size("letters", b"xyz\r\n", 400, "9112 7.1"),
    size("letter-after", b"5g\r\n", 400, "9112 7.1"),
    size("space-before", b" 5\r\n", 400, "9112 7.1"),
    size("tab-before", b"\t5\r\n", 400, "9112 7.1"),
    size("space-after", b"5 \r\n", 400, "9112 7.1"),
    size("tab-after", b"5\t\r\n", 400, "9112 7.1"),
    size("space-inside", b"0 5\r\n", 400, "9112 7.1"),
    size("comma", b"5,5\r\n", 400, "9112 7.1"),
    size("dot", b"5.\r\n", 400, "9112 7.1"),
    size("quoted", b'"5"\r\n', 400, "9112 7.1"),
    size("nul", b"5\x00\r\n", 400, "9112 7.1"),
    size("vertical-tab", b"5\x0b\r\n", 400, "9112 7.1"),
    size("full-width-digit", "５\r\n".encode(), 400, "9112 7.1"),
    size("17-digits", b"10000000000000005\r\n", 400, "9112 7.1: overflow"),
    size("2-to-the-64-minus-1", b"ffffffffffffffff\r\n", 413, "9112 7.1: more than the limit"),
    size("2-to-the-63", b"8000000000000000\r\n", 413, "9112 7.1"),
    size("2-to-the-32", b"100000000\r\n", 413, "9110 15.5.14"),
    size("just-over-the-limit", b"100001\r\n", 413, "9110 15.5.14"),
    size("minus-one", b"-1\r\n", 400, "9112 7.1"),
    size("bare-lf", b"5\n", 400, "9112 7.1: CRLF"),
    size("bare-cr", b"5\r", 400, "9112 7.1"),
    size("two-crs", b"5\r\r\n", 400, "9112 7.1"),
    size("lf-cr", b"5\n\r", 400, "9112 7.1"),
    # Extensions
    size("extension", b"5;a=b\r\n", b"hello", "9112 7.1.1: ignored, not passed on"),
    size("extension-without-value", b"5;a\r\n", b"hello", "9112 7.1.1"),
    size("extension-quoted", b'5;a="b c;\\"d"\r\n', b"hello", "9112 7.1.1"),
    size("extensions-two", b"5;a=b;c=d\r\n", b"hello", "9112 7.1.1"),
    size("extension-without-name", b"5;\r\n", 400, "9112 7.1.1"),
    size("extension-two-semicolons", b"5;;a\r\n", b"hello", "9112 7.1.1: odd, and dropped"),
    size("extension-bad-whitespace", b"5 ; a = b\r\n", b"hello", "9112 7.1.1: BWS, must be taken"),
    size("extension-bad-tabs", b"5\t;\ta\t=\tb ;c\r\n", b"hello", "9112 7.1.1: BWS"),
    size("extension-bad-whitespace-and-quoted", b'5 ; a = "b ; \\" = c"\r\n', b"hello", "9112 7.1.1"),
    size("extension-two-words", b"5;a b\r\n", 400, "9112 7.1.1: not whitespace around a sign"),
    size("extension-space-at-the-end", b"5;a \r\n", 400, "9112 7.1.1"),
    size("extension-space-before-bare-lf", b"5 ;a\n", 400, "9112 7.1.1"),
    size("extension-space-and-cr-inside", b"5 ;a\rb\r\n", 400, "9112 7.1.1"),
    size("extension-space-and-nul", b"5 ;a=\x00\r\n", 400, "9112 7.1.1"),
    size("extension-space-inside-size", b"0 5 ;a\r\n", 400, "9112 7.1"),
    size("extension-bare-lf", b"5;a\n", 400, "9112 7.1.1"),
    size("extension-lf-inside", b"5;a\nb\r\n", 400, "9112 7.1.1"),
    size("extension-lf-inside-quotes", b'5;a="\n"\r\n', 400, "9112 7.1.1"),
    size("extension-cr-inside", b"5;a\rb\r\n", 400, "9112 7.1.1"),
    size("extension-crlf-inside-quotes", b'5;a="\r\n"\r\n', 400, "9112 7.1.1"),
    size("extension-quoted-cr", b'5;a="\\\r\n"\r\n', 400, "9112 7.1.1"),
    size("extension-nul", b"5;a=\x00\r\n", 400, "9112 7.1.1"),
    size("extension-high-byte", b"5;\xff\r\n", 400, "9112 7.1.1"),
    size("extension-of-8-kb", b"5;a=" + b"b" * 8000 + b"\r\n", b"hello", "9112 7.1.1"),
    size("extension-of-100-kb", b"5;a=" + b"b" * 100_000 + b"\r\n", 431, "9112 7.1.1: bounded"),
    chunks(
        "2000-with-extensions",
        b"1;%b\r\nx\r\n" % (b"e" * 40) * 2000 + b"0\r\n\r\n",
        431,
        "9112 7.1.1: an excess of extensions",
    ),
    chunks(
        "2000-of-one-byte", b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n", b"x" * 2000, "9112 7.1"
    ),
    # Data
    chunks("none", b"0\r\n\r\n", b"", "9112 7.1"),
    chunks("last-with-two-zeros", b"00\r\n\r\n", b"", "9112 7.1: 1*\"0\""),
    chunks("last-with-extension", b"0;a=b\r\n\r\n", b"", "9112 7.1"),
    chunks("last-with-space", b"0 \r\n\r\n", 400, "9112 7.1"),
    chunks("last-minus-zero", b"-0\r\n\r\n", 400, "9112 7.1"),
    chunks("last-bare-lf", b"5\r\nhello\r\n0\n\n", 400, "9112 7.1"),
    chunks("last-line-bare-lf", b"5\r\nhello\r\n0\r\n\n", 400, "9112 7.1"),
    chunks("last-size-bare-lf", b"5\r\nhello\r\n0\n\r\n", 400, "9112 7.1"),
    chunks("last-line-bare-cr", b"5\r\nhello\r\n0\r\n\rX", 400, "9112 7.1"),
    chunks("hex-digits-in-both-cases", b"1a\r\n%b\r\n1A\r\n%b\r\n0\r\n\r\n" % (b"x" * 26, b"y" * 26),
           b"x" * 26 + b"y" * 26, "9112 7.1"),
    chunks("data-like-the-last-chunk", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", "9112 7.1"),
    chunks("data-like-a-request", b"10\r\nGET /x HTTP/1.1\n\r\n0\r\n\r\n", b"GET /x HTTP/1.1\n",
           "9112 7.1"),
    chunks("data-with-odd-lines", b"b\r\na\nb\r\nc\r\r\nd\n\r\n0\r\n\r\n", b"a\nb\r\nc\r\r\nd\n",
           "9112 7.1"),
    chunks("data-without-crlf", b"5\r\nhello0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-then-lf", b"5\r\nhello\n0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-then-cr", b"5\r\nhello\r0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-then-two-bytes", b"5\r\nhelloXX0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-then-space", b"5\r\nhello \r\n0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-longer-than-size", b"3\r\nhello\r\n0\r\n\r\n", 400, "9112 7.1"),
    chunks("data-shorter-than-size", b"6\r\nhello\r\n0\r\n\r\n", 400, "9112 7.1"),
    chunks("second-size-bad", b"5\r\nhello\r\nx\r\n", 400, "9112 7.1: after part was passed on"),
    chunks("second-size-negative", b"5\r\nhello\r\n-1\r\n", 400, "9112 7.1"),
    chunks("total-over-the-limit", b"80000\r\n%b\r\n" % (b"x" * 0x80000) * 3, 413, "9110 15.5.14"),
    # Trailers
    trailer("plain", b"X: y\r\n\r\n", b"hello", "9110 6.5.1: dropped"),
    trailer("several", b"X: y\r\nZ: w\r\n\r\n", b"hello", "9110 6.5.1"),
    trailer("host", b"Host: evil\r\n\r\n", b"hello", "9110 6.5.1: never merged"),
    trailer("forwarded-for", b"X-Forwarded-For: 6.6.6.6\r\n\r\n", b"hello", "9110 6.5.1"),
    trailer("connection", b"Connection: close\r\n\r\n", b"hello", "9110 6.5.1"),
    trailer("content-length", b"Content-Length: 5\r\n\r\n", 400, "9110 6.5.1: forbidden there"),
    trailer("transfer-encoding", b"Transfer-Encoding: chunked\r\n\r\n", 400, "9110 6.5.1"),
    trailer("space-before-colon", b"X : y\r\n\r\n", 400, "9112 5.1"),
    trailer("no-colon", b"X\r\n\r\n", 400, "9112 5"),
    trailer("name-empty", b": y\r\n\r\n", 400, "9110 5.1"),
    trailer("fold", b"X: y\r\n z\r\n\r\n", 400, "9112 5.2"),
    trailer("nul", b"X: \x00\r\n\r\n", 400, "9110 5.5"),
    trailer("bare-lf", b"X: y\nZ: w\r\n\r\n", 400, "9112 2.2"),
    trailer("bare-cr", b"X: y\rZ: w\r\n\r\n", 400, "9112 2.2"),
    trailer("a-request-line", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "9112 7.1.2"),
    trailer("4000", b"X: y\r\n" * 4000 + b"\r\n", 431, "9112 7.1.2: bounded"),
    trailer("100-kb", b"X: " + b"y" * 100_000 + b"\r\n\r\n", 431, "9112 7.1.2"),
    trailer("without-end", b"X: y\r\n" * 10_000, 431, "9112 7.1.2"),
    Case(
        "chunk-trailer-then-a-request",
        HEAD + b"0\r\nX: y\r\nHost: evil\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
        (
            forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked"),
            forwarded(b"GET /2 HTTP/1.1", host=b"b"),
        ),
        "9110 6.5.1: not merged into the next one either",
    ),
    Case("chunk-cut-in-size", HEAD + b"5", (), "9112 8", ends=True),
    Case("chunk-cut-in-data", HEAD + b"5\r\nhel", (), "9112 8", ends=True),
    Case("chunk-cut-before-the-last", HEAD + b"5\r\nhello\r\n", (), "9112 8", ends=True),
    Case("chunk-cut-in-trailers", HEAD + b"5\r\nhello\r\n0\r\nX: y\r\n", (), "9112 8", ends=True),
    Case("chunk-cut-before-the-final-lf", HEAD + b"5\r\nhello\r\n0\r\n\r", (), "9112 8", ends=True),
]  # fmt: skip
