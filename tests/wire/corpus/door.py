"""The balancer's own process, or a real NGINX with the balancer's twin configuration, as a door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .model import Case, Forwarded, NotARequestError, RequestReader, Seen, origin_answer

PROJECT = Path(__file__).resolve().parents[3]
PATIENCE = 5.0  # seconds a door may take to end a connection that must end


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def balancer(backend: int, folder: Path, *options: str) -> AsyncIterator[int]:
    """Yields its port."""
    port, admin = free_port(), free_port()
    command = [
        sys.executable, "-m", "balancer", "--listen", f"127.0.0.1:{port}",
        "--admin", f"127.0.0.1:{admin}", "--backend", f"127.0.0.1:{backend}",
        "--health-path", "off", "--run-dir", str(folder),
        "--metrics-file", str(folder / "metrics"), *options,
    ]  # fmt: skip
    async with _running(command, port, folder):
        yield port


@asynccontextmanager
async def nginx(backend: int, folder: Path) -> AsyncIterator[int]:
    port = free_port()
    text = (PROJECT / "balancer" / "nginx.conf").read_text()
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = text.replace("server 127.0.0.1:3001 max_fails=1 fail_timeout=2s;", "")
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{backend}")
    (folder / "var" / "run").mkdir(parents=True)
    (folder / "var" / "log").mkdir()
    (folder / "nginx.conf").write_text("daemon off;\n" + text)
    command = [nginx_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    async with _running(command, port, folder):
        yield port


def is_compiled(folder: Path) -> bool:
    """Whether the balancer of this folder said that it uses the compiled request path."""
    return b"with the compiled request path" in (folder / "stderr").read_bytes()


def nginx_program() -> str:
    path = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/sbin"
    found = os.environ.get("NGINX") or shutil.which("nginx", path=path)
    assert found, "NGINX is installed by make setup"
    return found


@asynccontextmanager
async def _running(
    command: list[str], port: int, folder: Path, **environ: str
) -> AsyncIterator[None]:
    with (folder / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=stderr, stderr=stderr, cwd=PROJECT, env={**os.environ, **environ}
        )
        try:
            await _accepts(process, port, folder)
            yield
        finally:
            process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _accepts(process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, (folder / "stderr").read_text()
            with contextlib.suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


class Origin:
    """A backend that answers each request it understands with which one it was."""

    def __init__(self) -> None:
        self.requests: list[Forwarded] = []
        self.heads: list[bytes] = []
        self.odd = ""
        self._unfinished: set[RequestReader] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        self._server.close()

    def forget(self) -> None:
        self.requests, self.heads, self.odd = [], [], ""

    async def settled(self) -> None:
        """Waits until no unfinished request hangs about: its connection must be cut."""
        async with asyncio.timeout(PATIENCE):
            while any(one.rest for one in self._unfinished):  # noqa: ASYNC110  others' doing
                await asyncio.sleep(0.005)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = RequestReader()
        self._unfinished.add(requests)
        try:
            while data := await reader.read(65536):
                for request in requests.feed(data):
                    self.requests.append(request)
                    self.heads.append(requests.heads[-1])
                    writer.write(origin_answer(request))
        except NotARequestError as error:
            self.odd = repr(error)
        except OSError:
            pass
        finally:
            self._unfinished.discard(requests)
            writer.close()


async def run(port: int, origin: Origin, case: Case, patience: float = PATIENCE) -> Seen:
    """What becomes of a case at the door."""
    origin.forget()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received, closed = b"", True
    try:
        with contextlib.suppress(OSError):  # a door that refuses early need not read it all
            writer.write(case.wire)
            if case.ends:
                writer.write_eof()
        async with asyncio.timeout(patience):
            while data := await reader.read(65536):
                received += data
    except ConnectionError:
        pass  # what it said before the reset counts
    except TimeoutError:
        closed = False
    finally:
        writer.transport.abort()
    try:
        await origin.settled()
    except TimeoutError:
        origin.odd = "a request that is never finished nor cut"
    return Seen(origin.requests, received, closed, origin.heads, origin.odd)
