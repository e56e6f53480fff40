"""The listening socket of an instance, held by the parent for life."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys

import psutil
import tenacity

from .settings import PoolSettings

# Workers of a parent that was killed let go of the address within this time.
_ORPHANS_GONE = 2.0


class StartError(Exception):
    """The pool cannot start; the message is one line for the user."""


def listen(settings: PoolSettings) -> socket.socket:
    """A socket that listens from now on, with SO_REUSEPORT set.

    Raises StartError when the address cannot be had within two seconds.
    """
    patiently = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_in_use),
        stop=tenacity.stop_after_delay(_ORPHANS_GONE),
        wait=tenacity.wait_fixed(0.1),
        reraise=True,
    )
    try:
        return patiently(_listen, settings)
    except OSError as error:
        if not _in_use(error) or not _end_orphans(settings.port):
            raise StartError(_bind_error(settings, error)) from None
    try:
        return patiently(_listen, settings)
    except OSError as error:
        raise StartError(_bind_error(settings, error)) from None


def refuse(sock: socket.socket, port: int) -> bool:
    """Reset what is queued and refuse what comes, until somebody calls `listen` on the socket.

    Returns whether that was possible: Linux keeps the address meanwhile if it was asked for by
    number, `port`; other systems do not do this at all.
    """
    if not port or sys.platform != "linux":
        return False
    sock.shutdown(socket.SHUT_RD)
    return True


def _listen(settings: PoolSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    address = (settings.host, settings.port)
    # SO_REUSEPORT would let a second program of the same user share the port in silence: a socket
    # without it fails when anybody listens.
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        sock.listen(settings.backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _end_orphans(port: int) -> bool:
    """Kill workers of a pool like this one that outlived their parent because they hang.

    They have our command line, keep our port, and their parent is no pool any more. Returns
    whether there were any.
    """
    own = psutil.Process().cmdline()
    ended = False
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if connection.status != psutil.CONN_LISTEN or not address or address.port != port:
            continue
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(connection.pid)
            parent = process.parent()
            if process.cmdline() == own and (parent is None or parent.cmdline() != own):
                process.kill()
                ended = True
    return ended


def _in_use(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def _bind_error(settings: PoolSettings, error: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno != errno.EADDRINUSE:
        return f"{settings.name}: cannot listen on {where}: {error.strerror}"
    advice = f" or set {settings.port_variable}" if settings.port_variable else ""
    return f"{settings.name}: {where} is in use{_holder(settings.port)}; free it{advice}"


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port:
                if connection.pid:
                    return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
                break
    except psutil.Error:
        pass  # not ours to see: the message is still true without it
    return ""
