"""How many connections the process may have: descriptors are a limit of the system's."""

from __future__ import annotations

import resource
from dataclasses import replace

from .group import say
from .settings import Settings

_OTHER = 128  # logs, admin, checks, the pool


def within_descriptors(settings: Settings) -> Settings:
    """Settings whose connections fit into the descriptors this process may open, after asking
    for as many as it can get. Says so when that is less than was wanted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + settings.max_in_flight + _OTHER
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fitting = connections_that_fit(settings, None if soft == resource.RLIM_INFINITY else soft)
    if fitting < settings.max_connections:
        say(
            f"{fitting} connections at once, not {settings.max_connections}"
            f" (BALANCER_MAX_CONNECTIONS): only {soft} descriptors may be open (ulimit -n)"
        )
    return replace(settings, max_connections=fitting)


def connections_that_fit(settings: Settings, descriptors: int | None) -> int:
    """Clients' connections, when each request in flight needs one more; at least half of what
    there is. None: no limit."""
    if descriptors is None:
        return settings.max_connections
    room = max(descriptors - settings.max_in_flight - _OTHER, descriptors // 2)
    return min(settings.max_connections, room)
