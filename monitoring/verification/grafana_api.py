"""Grafana's HTTP API, as far as it is asked here. Edge."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

import aiohttp

_SECONDS = 30.0  # a query of a slow Prometheus


class GrafanaError(RuntimeError):
    """Grafana could not be asked or refused; one line. `status` 0: there was no answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class GrafanaApi:
    """A Grafana at a base URL, asked as one user."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers={"Authorization": aiohttp.encode_basic_auth(user, password, encoding="utf-8")},
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> Any:
        """The JSON of a successful answer. Raises GrafanaError."""
        return await self._ask("GET", path, None)

    async def query(self, body: dict[str, Any]) -> dict[str, Any]:
        """The results of queries, those of failed ones too. Raises GrafanaError."""
        answer = await self._ask("POST", "/api/ds/query", body)
        if not isinstance(answer, dict):
            raise GrafanaError("/api/ds/query: the answer is no object")
        return answer

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            async with self._session.request(method, f"{self.url}{path}", json=body) as answer:
                told = await answer.json(content_type=None)
                status = answer.status
        except TimeoutError:
            raise GrafanaError(f"{path}: no answer within {_SECONDS:g} s") from None
        except aiohttp.ClientConnectorError as error:
            why = os.strerror(error.os_error.errno or 0)
            raise GrafanaError(f"{path}: nothing answers ({why.lower()})") from None
        except aiohttp.ClientError as error:
            raise GrafanaError(f"{path}: {error}") from None
        except ValueError:  # no JSON
            raise GrafanaError(f"{path}: the answer is not Grafana's", answer.status) from None
        if status >= 300 and not (isinstance(told, dict) and "results" in told):
            said = told.get("message") if isinstance(told, dict) else None
            raise GrafanaError(f"{path}: {status} {said or answer.reason}", status)
        return told
