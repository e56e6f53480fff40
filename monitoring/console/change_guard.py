"""Who may change something through the page. Pure."""

from __future__ import annotations

import hmac
import ipaddress

from ..host_header import trusted_host

PROOF_HEADER = "X-Console-Token"


def refusal(*, remote: str, host: str, origin: str | None, token: str, given: str | None) -> str:
    """Why a change is refused; empty when it is not.

    Args:
        remote: the peer's address.
        host: the Host header; a name that is not this machine's is DNS rebinding.
        origin: of the page that sends it; a browser always tells it with a POST.
        token: made anew at every start, told in the page only: no foreign page can read it.
        given: the token that came.
    """
    if not _is_loopback(remote):
        return "changes are taken from this machine only"
    if not trusted_host(host):
        return f"this is not {host}: use 127.0.0.1 or localhost"
    if origin != f"http://{host}":
        return "changes are taken from the console's own page only"
    if given is None or not hmac.compare_digest(token.encode(), given.encode()):
        return "the console was started anew: reload the page"
    return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
