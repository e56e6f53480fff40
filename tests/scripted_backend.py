"""A backend that sends exactly the bytes a test wants, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from balancer.settings import Address

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
END_OF_HEAD = b"\r\n\r\n"

_listening: set[asyncio.AbstractServer] = set()


def close_all() -> None:
    """No backend of this process accepts connections any more."""
    for server in _listening:
        server.close()
    _listening.clear()


def answers(data: bytes) -> Script:
    """Sends `data` for each request and keeps the connection."""

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(data)
        await writer.drain()

    return script


def answers_and_closes(data: bytes) -> Script:
    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return script


async def never_answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    await asyncio.sleep(3600)


@dataclass
class ScriptedBackend:
    """Runs `script` once per request head it reads. Health checks are answered with 200."""

    script: Script = field(default_factory=lambda: answers(OK))
    healthy: bool = True
    silent: bool = False  # accepts and never says a word, not even to health checks
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def start(self) -> ScriptedBackend:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        _listening.add(self._server)
        self.port = self._server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    async def stop(self) -> None:
        """Refuse connections from now on and reset those that are open."""
        self._server.close()
        _listening.discard(self._server)
        for task in list(self._tasks):
            task.cancel()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0.01)  # transports close at the loop's next turns

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(END_OF_HEAD)
                if self.silent:
                    await asyncio.sleep(3600)
                if head.startswith(b"GET /readyz "):
                    status = b"200 OK" if self.healthy else b"503 No"
                    writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
                    continue
                self.heads.append(head)
                await self.script(reader, writer, head)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
