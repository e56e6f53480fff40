"""What an instance is told, checked before it starts. Seconds everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shards import StoreSettings

BODY_LIMIT = 64 * 1024  # bytes of an answer of the external service
# Written again by us, JSON may become four times longer (1e15, or letters beyond ASCII).
RECORD_LIMIT = 5 * BODY_LIMIT


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """The external service and how long, how often, it is asked."""

    url: str
    deadline: float = 2.0  # for the whole call
    attempt_timeout: float = 0.250
    retries: int = 3
    connections: int = 256  # of each worker


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance of the service. `ids_file` is shared by all that write to one store."""

    name: str
    store: StoreSettings
    upstream: UpstreamSettings
    ids_file: Path = Path("var/ids")
    metrics_dir: Path = Path("var/run/metrics/app")
    access_log: Path | None = None  # None: off
    # Longer than any proxy in front keeps its side (NGINX 60 s, ours 15 s), so that it is always
    # the proxy that closes an idle connection.
    keepalive_seconds: float = 75.0
