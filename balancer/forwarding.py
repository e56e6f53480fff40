"""Whose word about where a request came from is believed. Pure.

A client's own X-Forwarded-For, -Proto and -Host are dropped, because anybody can write them;
those of a trusted proxy are kept and the proxy's address is appended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_HOST = re.compile(rb"[0-9A-Za-z._:\[\]-]{1,255}")
_CHAIN = re.compile(rb"[0-9A-Za-z.:_\[\] ,\t-]{1,2048}")


def parse_network(text: str) -> Network:
    """`10.0.0.0/8`, `::1`. Raises ValueError, which says what is allowed."""
    try:
        return ip_network(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an address or a network like 10.0.0.0/8") from None


@dataclass(slots=True, frozen=True)
class Claim:
    """What the fields of a request say of where it came from. Empty: nothing well-formed."""

    chain: bytes  # X-Forwarded-For
    proto: bytes
    host: bytes


def read_claim(known: dict[bytes, list[bytes]]) -> Claim | None:
    """From the fields by lower-case name; None if none of them is there."""
    chain = b", ".join(known.get(b"x-forwarded-for", ()))
    protos = [value.lower() for value in known.get(b"x-forwarded-proto", ())]
    hosts = known.get(b"x-forwarded-host", ())
    if not (chain or protos or hosts):
        return None
    return Claim(
        chain=chain if _CHAIN.fullmatch(chain) else b"",
        proto=protos[0] if protos in ([b"http"], [b"https"]) else b"",
        host=hosts[0] if len(hosts) == 1 and _HOST.fullmatch(hosts[0]) else b"",
    )


@dataclass(slots=True, frozen=True)
class Peer:
    """Who is at the other end of a connection; `lines` are sent on for what it asks itself."""

    address: str
    trusted: bool
    lines: bytes


class TrustedProxies:
    """The networks whose claims are believed."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)

    def peer(self, address: str) -> Peer:
        return Peer(address, self.trusts(address), _lines(address.encode(), b"http"))

    def client_of(self, claim: Claim, peer: Peer) -> str:
        """The nearest address of the chain that is not a trusted proxy's: who really asked.

        Read from the right, since each proxy appends; what stands left of a stranger is his word.
        """
        nearest = peer.address
        for entry in reversed(claim.chain.decode().split(",")):
            if not self.trusts(nearest):
                break
            address = entry.strip()
            if not address:
                break
            nearest = address
        return nearest


def believed_lines(claim: Claim, peer: Peer) -> bytes:
    """X-Forwarded-For and -Proto of a request that a trusted proxy passed on."""
    address = peer.address.encode()
    chain = b"%b, %b" % (claim.chain, address) if claim.chain else address
    return _lines(chain, claim.proto or b"http")


def _lines(chain: bytes, proto: bytes) -> bytes:
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (chain, proto)
