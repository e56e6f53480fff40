"""Settings of the balancer. Seconds and bytes; the reasons stand in the help of `__main__.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """A host and a port, `127.0.0.1:3000` or `[::1]:3000`."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    listen: Address
    admin: Address
    backends: tuple[Address, ...]
    metrics_file: str | None = None
    access_log: str | None = None

    health_path: str | None = "/readyz"  # None: backends without one are taken as healthy
    health_interval: float = 1.0
    health_timeout: float = 0.5
    fall: int = 2
    rise: int = 2

    connect_timeout: float = 0.25
    first_byte_timeout: float = 2.5
    total_timeout: float = 5.0  # until the answer's head; its remainder goes to the backend
    head_timeout: float = 10.0
    body_timeout: float = 30.0
    keepalive_timeout: float = 75.0
    upstream_idle: float = 15.0  # well below the backends' keep-alive, or requests meet a close

    max_head: int = 16 * 1024
    max_fields: int = 100
    max_target: int = 8 * 1024
    max_body: int = 1024 * 1024  # 0: no limit
    max_in_flight: int = 1024
    max_replay: int = 64 * 1024  # request bodies up to this size are kept for a second try
