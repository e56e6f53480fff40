"""The listening socket, or one line that says why not."""

from __future__ import annotations

import errno
import socket

import psutil

BACKLOG = 1024


class StartError(Exception):
    """The service cannot start; the message is one line for the user."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens from now on. Port 0 takes a free one. Raises StartError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            where = f"port {port} on {host} is in use{_holder(port)}"
            raise StartError(f"{where}; free it or set UNSTABLE_PORT to move it") from None
        # create_server appends the address to the kernel's words, which we name ourselves
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise StartError(
            f"cannot listen on port {port} on {host}: {reason}; "
            "choose another address with --listen or UNSTABLE_LISTEN"
        ) from None


def _holder(port: int) -> str:
    """` by pid N (name)` if the system lets us see it."""
    try:
        for connection in psutil.net_connections("tcp"):
            address, pid = connection.laddr, connection.pid
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and pid:
                return f" by pid {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        pass  # not ours to see; the message is true without it
    return ""
