"""Whether the packages of the extra `otel` are there."""

from __future__ import annotations

import importlib.util
from contextlib import suppress


def is_installed() -> bool:
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    return False


def not_installed() -> str:
    """The one line that says so, and how to get them."""
    return (
        "spans are not sent to OTEL_EXPORTER_OTLP_ENDPOINT: OpenTelemetry is not installed."
        " To get it: .venv/bin/pip install '.[otel]'"
    )
