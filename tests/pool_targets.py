"""Targets for pool tests: tiny asyncio servers that speak one line of text."""

from __future__ import annotations

import asyncio
import os
import time

from workers import BootError, Worker


async def lines(worker: Worker, boot_seconds: float = 0.0) -> None:
    """Answers `pid`, `ready`, `sleep SECONDS`, `block SECONDS`, `exit` with one line each."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command, _, argument = (await reader.readline()).decode().strip().partition(" ")
        worker.request_started()
        if command == "exit":
            os._exit(9)
        if command == "block":
            time.sleep(float(argument))  # noqa: ASYNC251  blocks the loop on purpose
        if command == "sleep":
            await asyncio.sleep(float(argument))
        reply = str(worker.is_ready) if command == "ready" else str(os.getpid())
        writer.write(f"{reply}\n".encode())
        await writer.drain()
        writer.close()
        worker.request_finished()

    await asyncio.sleep(boot_seconds)
    acceptor = worker.listen(lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), answer))
    worker.ready()
    await worker.told_to_stop()
    acceptor.close()
    deadline = time.monotonic() + worker.drain_seconds
    while _in_flight(worker) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _in_flight(worker: Worker) -> int:
    return sum(row.in_flight for row in worker.siblings() if row.slot == worker.slot)


async def crashes_at_boot(worker: Worker) -> None:
    raise RuntimeError("the handler module is broken")


async def cannot_start(worker: Worker) -> None:
    raise BootError("the metrics folder is not writable")


async def never_ready(worker: Worker) -> None:
    await asyncio.sleep(3600)
