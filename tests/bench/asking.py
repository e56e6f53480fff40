"""Single requests to what was started: is it there, does it do its job? Edge."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any

from .processes import ProgramError


def get(port: int, path: str = "/", *, times: int = 1, seconds: float = 10.0) -> tuple[int, bytes]:
    """Status and body of the last of `times` requests on one connection. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        for _ in range(times):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()
    return response.status, body


def get_json(port: int, path: str) -> Any:
    """Raises ProgramError when it is not 200 with JSON."""
    status, body = get(port, path)
    try:
        if status == 200:
            return json.loads(body)
    except ValueError:
        pass
    raise ProgramError(f"port {port}: GET {path} brought {status} {body[:200]!r}")


def answers(port: int, path: str = "/") -> Callable[[], bool]:
    """A check for `Program.wait_until`: 200 comes."""
    return lambda: get(port, path, seconds=2.0)[0] == 200


def accepts(port: int) -> Callable[[], bool]:
    """A check for `Program.wait_until`: somebody listens."""

    def listens() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=2.0).close()
        return True

    return listens


def counter(port: int, name: str, **labels: str) -> float:
    """A counter of /metrics, added up over the series that have these labels."""
    _, body = get(port, "/metrics")
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in body.decode().splitlines()
        if line.partition("{")[0].partition(" ")[0] == name and all(w in line for w in wanted)
    )
