"""Clients in a closed loop that count what they lose. Edge.

A request that was sent and brought no whole answer is lost, whatever the reason; nothing is tried
again.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CLIENTS = 8
_SECONDS = 10.0


class CountingClients:
    """Threads that ask one port until the block ends.

    Args:
        keep: one connection for many requests; else one each.
    """

    def __init__(self, port: int, *, keep: bool) -> None:
        self._port = port
        self._keep = keep
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.answered = 0
        self.lost: list[str] = []

    @property
    def asked(self) -> int:
        """So far."""
        return self.answered + len(self.lost)

    @contextmanager
    def asking(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        connection = self._connection()
        while not self._done.is_set():
            try:
                connection.request("GET", "/", headers=self._headers())
                with connection.getresponse() as response:
                    response.read()
                    self._count(None if response.status == 200 else f"status {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self._count(type(error).__name__)
                connection.close()
                connection = self._connection()
        connection.close()

    def _count(self, problem: str | None) -> None:
        with self._lock:
            if problem is None:
                self.answered += 1
            else:
                self.lost.append(problem)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)

    def _headers(self) -> dict[str, str]:
        return {} if self._keep else {"Connection": "close"}
