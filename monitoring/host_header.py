"""Which Host headers a loopback service answers to. Pure."""

from __future__ import annotations

import ipaddress


def trusted_host(host: str) -> bool:
    """Is this Host header one that no foreign web page can have us answer to?

    DNS rebinding needs a name of the attacker's; localhost and plain addresses are none.
    """
    name = host.rpartition(":")[0] if host.count(":") == 1 or "]:" in host else host
    if name.lower().rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
