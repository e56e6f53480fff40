"""Where a body ends: RFC 9112 section 6."""

from .model import Case, Forwarded, forwarded

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_HELLO = forwarded(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"hello")
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def length(name: str, value: bytes, expected: bytes | int, rule: str) -> Case:
    """`expected` is the length the origin is told of the five bytes that follow."""
    verdict: Forwarded | int = 400
    if isinstance(expected, bytes):
        verdict = forwarded(b"POST / HTTP/1.1", b"Content-Length: " + expected, body=b"hello")
    return Case(
        f"length-{name}",
        POST + b"Content-Length:" + value + b"\r\n\r\nhello",
        (verdict,),
        rule,
    )


def coding(name: str, lines: bytes, expected: Forwarded | int, rule: str) -> Case:
    return Case(f"coding-{name}", POST + lines + b"\r\n\r\n" + CHUNKS, (expected,), rule)


def both(name: str, lines: bytes, body: bytes) -> Case:
    return Case(f"both-{name}", POST + lines + b"\r\n\r\n" + body, (400,), "9112 6.1, 6.3")


CASES = [
    length("plain", b" 5", b"5", "9112 6.2"),
    length("no-space", b"5", b"5", "9112 5.1"),
    length("spaces-and-tabs", b" \t5 \t", b"5", "9112 5.1: OWS"),
    length("leading-zeros", b" 0005", b"5", "9110 8.6: 1*DIGIT, rebuilt"),
    length("plus", b" +5", 400, "9110 8.6"),
    length("minus", b" -5", 400, "9110 8.6"),
    length("minus-zero", b" -0", 400, "9110 8.6"),
    length("hex", b" 0x5", 400, "9110 8.6"),
    length("octal", b" 0o5", 400, "9110 8.6"),
    length("underscore", b" 0_5", 400, "9110 8.6: Python's int() takes it"),
    length("fraction", b" 5.0", 400, "9110 8.6"),
    length("exponent", b" 5e0", 400, "9110 8.6"),
    length("quoted", b' "5"', 400, "9110 8.6"),
    length("semicolon", b" 5;", 400, "9110 8.6"),
    length("letters-after", b" 5abc", 400, "9110 8.6"),
    length("letters", b" five", 400, "9110 8.6"),
    length("empty", b"", 400, "9110 8.6"),
    length("only-space", b"   ", 400, "9110 8.6"),
    length("space-inside", b" 5 0", 400, "9110 8.6"),
    length("list-same", b" 5, 5", 400, "9112 6.3: MAY collapse, refused"),
    length("list-different", b" 5, 6", 400, "9112 6.3"),
    length("list-trailing-comma", b" 5,", 400, "9112 6.3"),
    length("list-leading-comma", b" ,5", 400, "9112 6.3"),
    length("nul-after", b" 5\x00", 400, "9110 5.5"),
    length("vertical-tab-before", b" \x0b5", 400, "9110 5.5"),
    length("form-feed-after", b" 5\x0c", 400, "9110 5.5"),
    length("arabic-digit", " ٥".encode(), 400, "9110 8.6: Python's int() takes it"),
    length("full-width-digit", " ５".encode(), 400, "9110 8.6"),
    length("no-break-space", b"\xa05", 400, "9110 8.6"),
    length("next-line-character", b"5\x85", 400, "9110 8.6"),
    length("2-to-the-64-plus-5", b" 18446744073709551621", 400, "9112 6.2: overflow"),
    length("2-to-the-32-plus-5-of-zeros", b" " + b"0" * 30 + b"5", 400, "9112 6.2"),
    length("2-to-the-63", b" 9223372036854775808", 400, "9112 6.2: overflow"),
    length("60-nines", b" " + b"9" * 60, 400, "9112 6.2: overflow"),
    length("twice-the-same", b" 5\r\nContent-Length: 5", 400, "9112 6.3"),
    length("twice-different", b" 5\r\nContent-Length: 6", 400, "9112 6.3"),
    length("twice-different-case", b" 5\r\ncontent-length: 0", 400, "9112 6.3"),
    length("twice-one-empty", b" 5\r\nContent-Length:", 400, "9112 6.3"),
    length("twice-zero-first", b" 0\r\nContent-Length: 5", 400, "9112 6.3"),
    length("bare-cr-before", b"\r5", 400, "9112 2.2"),
    length("bare-lf-after", b" 5\nX: y", 400, "9112 2.2"),
    Case(
        "length-zero",
        POST + b"Content-Length: 0\r\n\r\n",
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 0"),),
        "9110 8.6",
    ),
    Case("length-over-the-limit", POST + b"Content-Length: 1048577\r\n\r\n", (413,), "9110 15.5.14"),
    Case("length-a-gigabyte", POST + b"Content-Length: 1000000000\r\n\r\n", (413,), "9110 15.5.14"),
    Case(
        "length-body-not-complete",
        POST + b"Content-Length: 50\r\n\r\nhello",
        (),
        "9112 8: incomplete; never completed at the origin",
        ends=True,
    ),
    *(
        Case(
            f"length-on-{method.decode().lower()}-with-a-request-for-a-body",
            method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED)
            + SMUGGLED,
            (
                forwarded(
                    method + b" / HTTP/1.1",
                    b"Content-Length: %d" % len(SMUGGLED),
                    body=SMUGGLED,
                ),
            ),
            "9110 9.3.1: the body stays attached",
        )
        for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"POST")
    ),
    Case(
        "length-in-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),),
        "9112 6.3",
        closes=True,
    ),
    Case(
        "length-none-on-post",
        POST + b"\r\n",
        (forwarded(b"POST / HTTP/1.1"),),
        "9112 6.3: no body; what follows is a request",
    ),
    Case(
        "length-binary-body",
        POST + b"Content-Length: 256\r\n\r\n" + bytes(range(256)),
        (forwarded(b"POST / HTTP/1.1", b"Content-Length: 256", body=bytes(range(256))),),
        "9112 6",
    ),
    # Transfer-Encoding
    coding("plain", b"Transfer-Encoding: chunked", CHUNKED_HELLO, "9112 7.1"),
    coding("no-space", b"Transfer-Encoding:chunked", CHUNKED_HELLO, "9112 5.1"),
    coding("upper-case", b"transfer-encoding: CHUNKED", CHUNKED_HELLO, "9110 10.1.4"),
    coding("mixed-case", b"Transfer-encodinG: cHuNkEd", CHUNKED_HELLO, "9110 10.1.4"),
    coding("spaces-around", b"Transfer-Encoding:  chunked  ", CHUNKED_HELLO, "9112 5.1: OWS"),
    coding("tab-before", b"Transfer-Encoding:\tchunked", CHUNKED_HELLO, "9112 5.1: OWS"),
    coding("tab-after", b"Transfer-Encoding: chunked\t", CHUNKED_HELLO, "9112 5.1: OWS"),
    coding("tabs-and-spaces", b"Transfer-Encoding: \t chunked\t \t", CHUNKED_HELLO, "9112 5.1"),
    coding("xchunked", b"Transfer-Encoding: xchunked", 400, "9112 6.3: chunked is not the last"),
    coding("chunkedx", b"Transfer-Encoding: chunkedx", 400, "9112 6.3: chunked is not the last"),
    coding("chunk", b"Transfer-Encoding: chunk", 400, "9112 6.3: chunked is not the last"),
    coding("quoted", b'Transfer-Encoding: "chunked"', 400, "9112 6.3: chunked is not the last"),
    coding("single-quoted", b"Transfer-Encoding: 'chunked'", 400, "9112 6.3: chunked is not the last"),
    coding("identity", b"Transfer-Encoding: identity", 400, "9112 6.3: chunked is not the last"),
    coding("gzip", b"Transfer-Encoding: gzip", 400, "9112 6.3: chunked is not the last"),
    coding("gzip-then-chunked", b"Transfer-Encoding: gzip, chunked", 501, "9112 6.1"),
    coding("identity-then-chunked", b"Transfer-Encoding: identity, chunked", 501, "9112 6.1"),
    coding("chunked-then-identity", b"Transfer-Encoding: chunked, identity", 400, "9112 6.3"),
    coding("chunked-then-gzip", b"Transfer-Encoding: chunked, gzip", 400, "9112 6.3"),
    coding("chunked-twice", b"Transfer-Encoding: chunked, chunked", 400, "9112 7.1: once"),
    coding("comma-before", b"Transfer-Encoding: ,chunked", 501, "9112 6.1"),
    coding("comma-after", b"Transfer-Encoding: chunked,", 400, "9112 6.1"),
    coding("parameter", b"Transfer-Encoding: chunked;q=1", 400, "9112 6.3: chunked is not the last"),
    coding("semicolon", b"Transfer-Encoding: chunked;", 400, "9112 6.3: chunked is not the last"),
    coding("equals", b"Transfer-Encoding: =chunked", 400, "9112 6.3: chunked is not the last"),
    coding("two-words", b"Transfer-Encoding: chunked chunked", 400, "9112 6.3: chunked is not the last"),
    coding("space-inside", b"Transfer-Encoding: chu nked", 400, "9112 6.3: chunked is not the last"),
    coding("empty", b"Transfer-Encoding:", 400, "9112 6.1"),
    coding("only-space", b"Transfer-Encoding: ", 400, "9112 6.1"),
    coding("two-fields", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400, "9112 7.1"),
    coding(
        "two-fields-identity-last",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400, "9112 6.3",
    ),
    coding(
        "two-fields-identity-first",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 501, "9112 6.1",
    ),
    coding(
        "two-fields-x-last", b"Transfer-Encoding: chunked\r\nTransfer-encoding: x", 400, "9112 6.3"
    ),
    coding("nul-before", b"Transfer-Encoding: \x00chunked", 400, "9110 5.5"),
    coding("nul-after", b"Transfer-Encoding: chunked\x00", 400, "9110 5.5"),
    coding("vertical-tab-before", b"Transfer-Encoding: \x0bchunked", 400, "9110 5.5"),
    coding("vertical-tab-after", b"Transfer-Encoding: chunked\x0b", 400, "9110 5.5"),
    coding("form-feed-before", b"Transfer-Encoding: \x0cchunked", 400, "9110 5.5"),
    coding("no-break-space-after", b"Transfer-Encoding: chunked\xa0", 400, "9112 6.3: chunked is not the last"),
    coding("next-line-character-after", b"Transfer-Encoding: chunked\x85", 400, "9112 6.3: chunked is not the last"),
    coding("high-byte-before", b"Transfer-Encoding: \xffchunked", 400, "9112 6.3: chunked is not the last"),
    coding("bare-cr-before", b"Transfer-Encoding: \rchunked", 400, "9112 2.2"),
    coding("bare-lf-before", b"Transfer-Encoding: \nchunked", 400, "9112 2.2"),
    coding("bare-lf-field-before", b"X: y\nTransfer-Encoding: chunked", 400, "9112 2.2"),
    coding("bare-cr-field-before", b"X: y\rTransfer-Encoding: chunked", 400, "9112 2.2"),
    coding("split-name", b"Transfer-\r\nEncoding: chunked", 400, "9112 5"),
    coding("space-in-name", b"Transfer Encoding: chunked", 400, "9112 5.1"),
    coding("fold-before-value", b"Transfer-Encoding:\r\n\tchunked", 400, "9112 5.2"),
    coding("fold-after-value", b"Transfer-Encoding: chunked\r\n , x", 400, "9112 5.2"),
    Case(
        "coding-chunked-in-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        (400,),
        "9112 6.1: faulty in HTTP/1.0",
    ),
    Case(
        "coding-chunked-in-1.0-kept-alive",
        b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        + CHUNKS,
        (400,),
        "9112 6.1",
    ),
    Case(
        "coding-chunked-get",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        (forwarded(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"hello"),),
        "9110 9.3.1",
    ),
    Case(
        "coding-underscore-is-another-field",
        POST + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
        (
            forwarded(
                b"POST / HTTP/1.1",
                b"Transfer_Encoding: chunked",
                b"Content-Length: 5",
                body=b"hello",
            ),
        ),
        "9110 5.1: names are compared whole",
    ),
    # Both
    Case(
        "both-in-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        + CHUNKS,
        (400,),
        "9112 6.1",
    ),
    both("length-then-coding", b"Content-Length: 5\r\nTransfer-Encoding: chunked", CHUNKS),
    both("coding-then-length", b"Transfer-Encoding: chunked\r\nContent-Length: 5", CHUNKS),
    both(
        "cl.te",
        b"Content-Length: %d\r\nTransfer-Encoding: chunked" % (5 + len(SMUGGLED)),
        b"0\r\n\r\n" + SMUGGLED,
    ),
    both("te.cl", b"Transfer-Encoding: chunked\r\nContent-Length: 4", b"1e\r\n" + SMUGGLED),
    both("length-zero-and-coding", b"Content-Length: 0\r\nTransfer-Encoding: chunked", CHUNKS),
    both("coding-in-odd-case", b"Content-Length: 5\r\ntransfer-ENCODING: Chunked", CHUNKS),
    both("unknown-coding", b"Content-Length: 5\r\nTransfer-Encoding: x", b"hello"),
    both("identity", b"Content-Length: 5\r\nTransfer-Encoding: identity", b"hello"),
    both("length-between", b"Transfer-Encoding: x\r\nContent-Length: 5", b"hello"),
    both("tab-after-coding", b"Content-Length: 5\r\nTransfer-Encoding: chunked\t", CHUNKS),
    both("empty-coding", b"Content-Length: 5\r\nTransfer-Encoding:", b"hello"),
    both("empty-length", b"Content-Length:\r\nTransfer-Encoding: chunked", CHUNKS),
    both("invalid-length", b"Content-Length: x\r\nTransfer-Encoding: chunked", CHUNKS),
]  # fmt: skip
