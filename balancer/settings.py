"""Settings of the balancer. Seconds and bytes; the reasons stand in the help of `__main__.py`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .forwarding import Network

Policy = Literal["round-robin", "least-requests"]

MOST_WEIGHT = 100
MOST_BACKENDS = 64  # each has about forty series in the metrics

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")


@dataclass(frozen=True)
class Address:
    """A host and a port, `127.0.0.1:3000` or `[::1]:3000`."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises ValueError, which says what is allowed."""
        found = _HOST_AND_PORT.fullmatch(text.strip())
        if found is None or not 1 <= int(found[3]) <= 65535:
            raise ValueError(f"{text!r} is not HOST:PORT with a port from 1 to 65535")
        return cls(found[1] or found[2], int(found[3]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Member:
    """A backend as it is wanted: by the settings, or by a change through the admin API."""

    address: Address
    weight: int = 1  # its share, 1 to MOST_WEIGHT
    draining: bool = False  # finishes what it has, gets nothing new

    @classmethod
    def parse(cls, text: str) -> Member:
        """`HOST:PORT` or `HOST:PORT@WEIGHT`. Raises ValueError, which says what is allowed."""
        address, at, weight = text.strip().partition("@")
        if not at:
            return cls(Address.parse(address))
        if not (weight.isascii() and weight.isdigit() and 1 <= int(weight) <= MOST_WEIGHT):
            raise ValueError(f"{text!r}: the weight after @ is not from 1 to {MOST_WEIGHT}")
        return cls(Address.parse(address), int(weight))


@dataclass(frozen=True)
class Settings:
    listen: Address
    admin: Address
    backends: tuple[Member, ...]
    metrics_file: str | None = None
    access_log: str | None = None
    changes_file: str | None = None  # what the admin API changed; None: kept in memory

    compiled: bool = True  # where there is a compiled request path

    policy: Policy = "round-robin"

    trusted_proxies: tuple[Network, ...] = ()
    proxy_protocol: bool = False

    health_path: str | None = "/readyz"  # None: backends without one are taken as healthy
    health_interval: float = 1.0
    health_timeout: float = 0.5
    fall: int = 2
    rise: int = 2
    eject_after: int = 5  # failures in a row; 0: requests take no backend out
    eject_seconds: float = 5.0  # the n-th time n times as long

    retry_ratio: float = 0.2  # retries per request, of any ten seconds
    retry_floor: float = 3.0  # and so many more a second

    connect_timeout: float = 0.25
    first_byte_timeout: float = 2.5
    total_timeout: float = 5.0  # until the answer's head; its remainder goes to the backend
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    keepalive_timeout: float = 75.0
    tunnel_idle: float = 300.0
    min_rate: int = 500  # bytes per second of a body, over body_timeout; 0: none
    upstream_idle: float = 15.0  # well below the backends' keep-alive, or requests meet a close

    max_head: int = 16 * 1024
    max_fields: int = 100
    max_target: int = 8 * 1024
    max_body: int = 1024 * 1024  # 0: no limit
    max_in_flight: int = 2048
    backend_max_in_flight: int = 1024
    max_connections: int = 16384
    max_replay: int = 64 * 1024  # request bodies up to this size are kept for a second try
