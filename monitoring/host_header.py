"""Which Host headers a loopback service answers to. Pure."""

from __future__ import annotations

import ipaddress
import re

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d{1,5})?", re.ASCII)


def trusted_host(host: str) -> bool:
    """Is this Host header one that no foreign web page can have us answer to?

    DNS rebinding needs a name of the attacker's; localhost and plain addresses are none.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if match[2] is not None and match[2].lower().rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(match[1] or match[2])
    except ValueError:
        return False
    return True
