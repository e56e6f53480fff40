"""The external service: the one file that knows how it is asked. Yours goes here.

Write a class with a `fetch` like the one of `Upstream`, return it from `open_upstream`, and all
that surrounds the call (deadline, retries, fallback, metrics) stays as it is.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import aiohttp
from yarl import URL

from .resilience import AttemptError, Outcome, parse_retry_after
from .settings import BODY_LIMIT, UpstreamSettings
from .upstream_answer import check_status, parse_object, too_large


class Upstream(Protocol):
    """Something that is asked for data and may fail."""

    async def fetch(self, seconds: float, request_id: str) -> dict[str, Any]:
        """One attempt; it is cancelled after `seconds`, and may be made again.

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
        self._url = URL(settings.url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.connections,
                # Below the 75 s after which servers close idle connections, or a request would
                # now and then meet a connection that is just being closed.
                keepalive_timeout=15,
            ),
            # `fetch` is cancelled from outside; a second clock in here could only disagree.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            # No compression: 64 KiB must be 64 KiB. No cookies: requests of different clients
            # share this session.
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        # It would repeat a GET on a closed connection by itself, unseen by deadline, counters and
        # budget. There is no public switch (aiohttp issue 10790).
        self._session._retry_connection = False

    async def fetch(self, seconds: float, request_id: str) -> dict[str, Any]:
        headers = {
            "X-Request-Id": request_id,
            "X-Request-Timeout-Ms": str(max(1, int(seconds * 1000))),
        }
        try:
            async with self._session.get(
                self._url, headers=headers, allow_redirects=False
            ) as response:
                retry_after = parse_retry_after(response.headers.get("Retry-After"), time.time())
                check_status(response.status, retry_after)
                return parse_object(await _read(response))
        except aiohttp.ClientConnectionError as error:
            raise AttemptError(Outcome.CONNECT_ERROR, _say(error)) from error
        except aiohttp.ClientError as error:  # what came is not HTTP
            raise AttemptError(Outcome.BAD_ANSWER, _say(error)) from error

    async def close(self) -> None:
        await self._session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > BODY_LIMIT:
        raise too_large()
    body = b""
    try:
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > BODY_LIMIT:
                raise too_large()
    except (aiohttp.ClientError, OSError) as error:
        raise AttemptError(Outcome.BAD_ANSWER, f"cut in the middle: {_say(error)}") from error
    return body


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
