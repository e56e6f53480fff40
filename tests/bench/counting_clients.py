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
        answered, lost = 0, []
        connection = self._connection()
        while not self._done.is_set():
            try:
                connection.request("GET", "/", headers=self._headers())
                with connection.getresponse() as response:
                    response.read()
                    if response.status != 200:
                        lost.append(f"status {response.status}")
                    else:
                        answered += 1
            except (OSError, http.client.HTTPException) as error:
                lost.append(type(error).__name__)
                connection.close()
                connection = self._connection()
        connection.close()
        with self._lock:
            self.answered += answered
            self.lost += lost

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)

    def _headers(self) -> dict[str, str]:
        return {} if self._keep else {"Connection": "close"}
