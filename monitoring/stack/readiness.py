"""Is a program ready? One question over the network, with a time limit."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiohttp
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

TIMEOUT_SECONDS = 1.0


class Prober:
    """Asks `http://…` (ready: status 200) and `redis://…` (ready: answers PING).

    An async context manager; keeps no connection between two questions, so that an answer is
    always about the program that listens now.
    """

    def __init__(self, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def problem(self, address: str) -> str | None:
        """Why it is not ready, in a few words; None when it is."""
        try:
            async with asyncio.timeout(self._timeout):
                if address.startswith("redis://"):
                    return await self._ping(address)
                return await self._get(address)
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"
        except (aiohttp.ClientError, RedisError, OSError) as error:
            return _words(error)

    async def _get(self, address: str) -> str | None:
        async with self._session.get(address, allow_redirects=False) as response:
            return None if response.status == 200 else f"answers {response.status}"

    async def _ping(self, address: str) -> str | None:
        client = redis.asyncio.Redis.from_url(
            address,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=self._timeout,
            socket_timeout=self._timeout,
        )
        async with client:
            await client.ping()
        return None


def _words(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens"
        if isinstance(cause, aiohttp.ClientConnectorError):
            cause = cause.os_error
        else:
            cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__
