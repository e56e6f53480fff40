"""The PROXY protocol, versions 1 and 2: whose connection a proxy passes on. Pure.

Written after the specification at haproxy.org (proxy-protocol.txt, 2020/03/05), as a receiver:
what is not exactly a header is refused, since a guess would be a forged address.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MOST_BYTES = 4096  # of a version 2 header with all that may be told beside the addresses

_LINE_BYTES = 107
_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([^ ]+) ([^ ]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")
_PLAIN_V4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_FIXED = struct.Struct("!12sBBH")
_STREAM_V4, _STREAM_V6 = 0x11, 0x21
_FAMILIES = frozenset((0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32))


class MalformedError(ValueError):
    """No header of the PROXY protocol, or one that has no meaning."""


@dataclass(slots=True, frozen=True)
class Header:
    """A header of `size` bytes. `client` is None when the proxy speaks for itself, as its health
    checks do, or for somebody who has no address: the connection's own is meant then."""

    client: str | None
    size: int


def read_header(data: bytes) -> Header | None:
    """The header at the beginning of a connection; None while more bytes are needed.

    Raises MalformedError as soon as the bytes cannot become one.
    """
    if data[:12] == SIGNATURE[: len(data)]:
        return _read_binary(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _read_line(data)
    raise MalformedError("no PROXY protocol header")


def _read_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LINE_BYTES)
    if end < 0:
        if len(data) >= _LINE_BYTES:
            raise MalformedError("PROXY line without an end")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return Header(None, end + 2)
    found = _LINE.fullmatch(line)
    if found is None:
        raise MalformedError("malformed PROXY line")
    family, source, destination, *ports = found.groups()
    if any(int(port) > 65535 for port in ports):
        raise MalformedError("malformed port in the PROXY line")
    client = _address(family, source)
    _address(family, destination)
    return Header(client, end + 2)


def _address(family: bytes, text: bytes) -> str:
    try:
        plain = text.decode("ascii")
        if family == b"TCP4":
            if not _PLAIN_V4.fullmatch(plain):
                raise ValueError
            return str(IPv4Address(plain))
        if "%" in plain:
            raise ValueError
        return str(IPv6Address(plain))
    except ValueError:
        raise MalformedError("malformed address in the PROXY line") from None


def _read_binary(data: bytes) -> Header | None:
    if len(data) < _FIXED.size:
        return None
    _signature, version_and_command, family, length = _FIXED.unpack_from(data)
    if version_and_command not in (0x20, 0x21) or family not in _FAMILIES:
        raise MalformedError("unknown version, command or family of the PROXY protocol")
    size = _FIXED.size + length
    if size > MOST_BYTES:
        raise MalformedError("PROXY protocol header too long")
    if len(data) < size:
        return None
    addresses = data[_FIXED.size : size]
    client: str | None = None
    if version_and_command == 0x21:  # PROXY; with LOCAL the addresses have no meaning
        if family == _STREAM_V4:
            client = str(IPv4Address(_first(addresses, 4, 12)))
        elif family == _STREAM_V6:
            client = str(IPv6Address(_first(addresses, 16, 36)))
    return Header(client, size)


def _first(addresses: bytes, count: int, needed: int) -> bytes:
    if len(addresses) < needed:
        raise MalformedError("PROXY protocol header too short for its addresses")
    return addresses[:count]
