"""What supervisord says and does, over its Unix socket, with a time limit on every call.

supervisor's own client has no time limit: it would hang with a hung supervisord.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults

from .state import Process

TIMEOUT_SECONDS = 3.0  # it answers in milliseconds, but only once per turn of its loop


class SupervisorError(RuntimeError):
    """supervisord cannot be asked, or refused."""


class NotRunningError(SupervisorError):
    """Nothing listens on the socket."""


class Supervisor:
    """Client of one supervisord. Every method raises SupervisorError."""

    def __init__(self, path: Path, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout = timeout

    def processes(self) -> dict[str, Process]:
        """All programs by name."""
        with self._calls() as supervisor:
            return {
                info["name"]: Process(
                    name=info["name"],
                    state=info["statename"],
                    pid=info["pid"],
                    started=info["start"],
                    stopped=info["stop"],
                    exit_status=info["exitstatus"],
                    reason=info["spawnerr"],
                )
                for info in supervisor.getAllProcessInfo()
            }

    def pid(self) -> int:
        """The pid of supervisord itself."""
        with self._calls() as supervisor:
            return int(supervisor.getPID())

    def start(self, name: str) -> bool:
        """Ask for a start without waiting for it; False when it runs already."""
        with self._calls() as supervisor:
            try:
                supervisor.startProcess(name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise
                return False
            return True

    def stop(self, name: str) -> None:
        """Ask for a stop without waiting for it; nothing happens to what does not run."""
        with self._calls() as supervisor:
            try:
                supervisor.stopProcess(name, False)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:
                    raise

    def shutdown(self) -> None:
        """Ask it to stop all programs and end; it has only begun when this returns."""
        with self._calls() as supervisor:
            supervisor.shutdown()

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        transport = _UnixTransport(self._path, self._timeout)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
                yield proxy.supervisor
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(f"supervisord refused: {fault.faultString}") from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError("supervisord is not running; to start it: make up") from None
        except PermissionError:
            raise SupervisorError(
                f"supervisord belongs to another user ({self._path} may not be opened): "
                "be that user, or root"
            ) from None
        except TimeoutError:
            raise SupervisorError(
                f"supervisord did not answer within {self._timeout:g} s: try again; if it hangs, "
                "kill -9 $(cat var/run/supervisord.pid), then make down"
            ) from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorError(
                f"supervisord cannot be asked ({error}); to begin anew: make down up"
            ) from None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._unix = _UnixConnection(path, timeout)

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return self._unix

    def close(self) -> None:
        self._unix.close()
