"""A running balancer's memory while more passes through it than it may hold.

STREAM_MB=1024 passes a gigabyte each way, OPEN_CONNECTIONS=9900 opens that many at once (a test's
process and the balancer's worker need as many open files, see `ulimit -n`).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil

from tests.balancer_process import balancer, eventually
from tests.scripted_backend import ScriptedBackend

PIECE = bytes(256 * 1024)
PIECES = int(os.environ.get("STREAM_MB", "192")) * 4
CONNECTIONS = int(os.environ.get("OPEN_CONNECTIONS", "200"))
MOST_GROWTH = 24 * 1024 * 1024  # of the process; what passes is many times as much
LONG = "--max-body 0 --health-path off"


ASKS = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"


class Peak:
    """The largest memory a worker had, looked at while a task runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss)
            await asyncio.sleep(0.05)

    @property
    def growth(self) -> int:
        return self.most - self.before


async def sends(writer: asyncio.StreamWriter) -> None:
    for _ in range(PIECES):
        writer.write(PIECE)
        await writer.drain()


async def takes(reader: asyncio.StreamReader, *, pause_at: int = 0) -> int:
    """Reads all there is, and stands still for a second at so many bytes."""
    count = 0
    while data := await reader.read(1 << 18):
        before, count = count, count + len(data)
        if before < pause_at <= count:
            await asyncio.sleep(1)
        if count == len(PIECE) * PIECES:
            break
    return count


async def test_a_long_answer_passes_through_bounded_memory_also_to_a_slow_reader(tmp_path: Path):
    async def floods(reader, writer, head):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        await sends(writer)

    backend = await ScriptedBackend(floods).start()
    async with balancer(tmp_path, backend, options=LONG) as door:
        peak = Peak(door.workers()[0])
        watching = asyncio.create_task(peak.watch())
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await takes(reader, pause_at=1 << 20) == len(PIECE) * PIECES
        watching.cancel()
        writer.close()
        assert peak.growth < MOST_GROWTH
    await backend.stop()


async def test_a_long_upload_passes_through_bounded_memory_also_to_a_slow_backend(tmp_path: Path):
    async def swallows(reader, writer, head):
        count = await takes(reader, pause_at=1 << 20)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n%012d" % count)

    backend = await ScriptedBackend(swallows).start()
    async with balancer(tmp_path, backend, options=LONG) as door:
        peak = Peak(door.workers()[0])
        watching = asyncio.create_task(peak.watch())
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        length = len(PIECE) * PIECES
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % length)
        await sends(writer)
        await reader.readuntil(b"\r\n\r\n")
        assert int(await reader.readexactly(12)) == length
        watching.cancel()
        writer.close()
        assert peak.growth < MOST_GROWTH
    await backend.stop()


async def test_a_websocket_passes_bounded_memory_and_survives_a_reload_of_the_balancer(
    tmp_path: Path,
):
    async def echoes(reader, writer, head):
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()

    backend = await ScriptedBackend(echoes).start()
    async with balancer(tmp_path, backend, options=LONG) as door:
        peak = Peak(door.workers()[0])
        watching = asyncio.create_task(peak.watch())
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        taken, _none = await asyncio.gather(takes(reader, pause_at=1 << 20), sends(writer))
        assert taken == len(PIECE) * PIECES
        watching.cancel()
        assert peak.growth < MOST_GROWTH
        door.process.send_signal(1)  # SIGHUP
        await asyncio.sleep(2)
        writer.write(b"still here")
        async with asyncio.timeout(5):
            assert await reader.readexactly(10) == b"still here"
        writer.close()
    await backend.stop()


async def open_and_close(port: int, count: int) -> None:
    """So many connections at once, each with an answer, and then none."""
    gate = asyncio.Semaphore(64)

    async def one() -> asyncio.StreamWriter:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASKS)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            return writer

    writers = await asyncio.gather(*(one() for _ in range(count)))
    for writer in writers:
        writer.transport.abort()


async def test_connections_opened_and_closed_again_and_again_leave_memory_flat(tmp_path: Path):
    backend = await ScriptedBackend().start()
    options = f"--health-path off --max-connections {CONNECTIONS + 100}"
    try:
        async with balancer(tmp_path, backend, options=options) as door:
            worker = psutil.Process(door.workers()[0])
            files, after = worker.num_fds(), []
            for _wave in range(4):
                await open_and_close(door.port, CONNECTIONS)
                await eventually(lambda: worker.num_fds() < files + 70, "connections are closed")
                after.append(worker.memory_full_info().pss)
            assert after[3] <= after[1] * 1.03  # the first wave takes the memory for so many
    finally:
        await backend.stop()  # a loop with an open server would never close
