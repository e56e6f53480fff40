"""Who may change the faults: someone on this machine, asking for this machine. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


class NotLocalError(Exception):
    """The request may not change anything; the message says why."""


def check_local(peer: str | None, hosts: Sequence[str], forwarded: Sequence[str]) -> None:
    """Raise NotLocalError unless the request comes straight from a program on this machine.

    Args:
        peer: address of the other end of the connection.
        hosts: all Host headers. A web page that points its own name at 127.0.0.1 (DNS rebinding)
            has a loopback peer but not a loopback Host.
        forwarded: those of FORWARDED that the request has: with a proxy in between, the peer
            says nothing about who asks.
    """
    if peer is None or not _is_loopback_address(peer):
        raise NotLocalError(f"faults are changed from this machine only, not from {peer}")
    if forwarded:
        raise NotLocalError(
            f"faults are not changed through a proxy, and the request has {forwarded[0]}"
        )
    if len(hosts) != 1 or not is_loopback_host(hosts[0]):
        shown = ", ".join(hosts)[:80] or "none"
        raise NotLocalError(
            f"faults are changed under a loopback name (localhost, 127.0.0.1), got Host {shown}"
        )


def is_loopback_host(host: str) -> bool:
    """`host` is HOST or HOST:PORT as in a Host header."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port  # a bad port raises
    except ValueError:
        return False
    if name is None or parts.netloc != host or parts.username is not None:
        return False
    return name == "localhost" or name.endswith(".localhost") or _is_loopback_address(name)


def _is_loopback_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # a dual-stack socket shows ::ffff:127.0.0.1
    return (mapped or address).is_loopback
