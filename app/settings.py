"""What an instance is told, checked before it starts. Seconds everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shards import StoreSettings

from .resilience import CallPolicy, LimitPolicy

BODY_LIMIT = 64 * 1024  # bytes of an answer of the external service
# Written again by us, JSON may become four times longer (1e15, or letters beyond ASCII).
RECORD_LIMIT = 5 * BODY_LIMIT


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """The external service and how it is asked."""

    url: str
    policy: CallPolicy = field(default_factory=CallPolicy)
    connections: int = 256  # of each worker


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance of the service. `ids_file` is shared by all that write to one store."""

    name: str
    store: StoreSettings
    upstream: UpstreamSettings
    ids_file: Path = Path("var/ids")
    metrics_dir: Path = Path("var/run/metrics/app")
    # What all workers of all instances know together of the upstream.
    board_file: Path = Path("var/run/upstream")
    limit: LimitPolicy = field(default_factory=LimitPolicy)
    access_log: Path | None = None  # None: off
    otlp_endpoint: str | None = None  # who collects spans; None: nobody
    # Longer than any proxy in front keeps its side (NGINX 60 s, ours 15 s), so that it is always
    # the proxy that closes an idle connection.
    keepalive_seconds: float = 75.0
