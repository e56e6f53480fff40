"""The external service: the one file that knows how it is asked. Yours goes here.

Write a class with a `fetch` like the one of `Upstream`, return it from `open_upstream`, and all
that surrounds the call (deadline, retries, fallback, metrics) stays as it is.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from http1 import Answer, AnswerCutError, BadAnswerError, Client, Origin

from .resilience import AttemptError, Outcome, parse_retry_after
from .settings import BODY_LIMIT, UpstreamSettings
from .upstream_answer import check_status, parse_object

NO_TRACE: Mapping[str, str] = {}


class Upstream(Protocol):
    """Something that is asked for data and may fail."""

    async def fetch(
        self, seconds: float, request_id: str, trace: Mapping[str, str] = NO_TRACE
    ) -> dict[str, Any]:
        """One attempt; it is cancelled after `seconds`, and may be made again. `trace` are header
        fields to send with it (W3C Trace Context).

        Raise AttemptError for a failure you can name. TimeoutError and OSError are understood as
        they are; any other exception is logged as a defect and not tried again.
        """

    async def close(self) -> None:
        """Let go of connections."""


def open_upstream(settings: UpstreamSettings) -> Upstream:
    """The upstream of this service; called once in each worker, inside its event loop."""
    return HttpUpstream(settings)


class HttpUpstream:
    """GETs a JSON object of at most 64 KiB by HTTP."""

    def __init__(self, settings: UpstreamSettings) -> None:
        url = urlsplit(settings.url)
        tls = ssl.create_default_context() if url.scheme == "https" else None
        port = url.port or (443 if tls else 80)
        self._target = ((url.path or "/") + (f"?{url.query}" if url.query else "")).encode()
        self._client = Client(
            Origin(url.hostname or "", port, tls),
            connections=settings.connections,
            body_limit=BODY_LIMIT,
        )

    async def fetch(
        self, seconds: float, request_id: str, trace: Mapping[str, str] = NO_TRACE
    ) -> dict[str, Any]:
        # No compression: 64 KiB must be 64 KiB.
        fields = (
            f"Accept: application/json\r\nAccept-Encoding: identity\r\n"
            f"X-Request-Id: {request_id}\r\n"
            f"X-Request-Timeout-Ms: {max(1, int(seconds * 1000))}\r\n"
        )
        for name, value in trace.items():
            fields += f"{name}: {value}\r\n"
        try:
            answer = await self._client.get(self._target, fields.encode())
        except BadAnswerError as error:  # what came is not HTTP, or too much
            raise AttemptError(Outcome.BAD_ANSWER, str(error)) from error
        except AnswerCutError as error:
            raise AttemptError(Outcome.BAD_ANSWER, f"cut in the middle: {error}") from error
        except OSError as error:
            raise AttemptError(Outcome.CONNECT_ERROR, str(error) or type(error).__name__) from error
        check_status(answer.status, _retry_after(answer))
        return parse_object(answer.body)

    async def close(self) -> None:
        await self._client.close()


def _retry_after(answer: Answer) -> float | None:
    if answer.status < 400:
        return None
    value = answer.get(b"retry-after")
    return parse_retry_after(value.decode("latin-1") if value else None, time.time())
