"""Connections cut in the middle, replies that are no replies, callers that go away.

Each on asyncio's loop and on the app's, whose transports fail in other ways.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
import uvloop

from shards import (
    RecordConflictError,
    ShardedStore,
    Stored,
    StoreSettings,
    StoreUnavailableError,
)
from tests.redis_server import RedisServer

Run = Callable[[Coroutine[Any, Any, None]], None]
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server: RedisServer) -> None:
    assert server.command("FLUSHALL") == b"+OK\r\n"


class Cutter:
    """Passes bytes to a server and back. `keep` bytes of a reply pass when it is not None, then
    the connection ends: with a reset if `reset`, else as a closed one does."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.keep: int | None = None
        self.reset = False
        self.clients: list[asyncio.StreamWriter] = []
        self.serving: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        self.serving.append(cast("asyncio.Task[None]", asyncio.current_task()))
        above, to_above = await asyncio.open_connection("127.0.0.1", self.upstream)
        upward = asyncio.create_task(self._upward(reader, to_above))
        with suppress(OSError):
            while data := await above.read(65536):
                writer.write(data[: self.keep])
                await writer.drain()
                if self.keep is not None:
                    break
        self.end(writer)
        await upward

    async def _upward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    def end(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        if (
            self.reset and sock is not None and sock.fileno() >= 0
        ):  # lingering for 0 s: the kernel sends a reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


@asynccontextmanager
async def store_behind_a_cutter(server: RedisServer) -> AsyncIterator[tuple[ShardedStore, Cutter]]:
    cutter = Cutter(server.port)
    listener = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        async with ShardedStore(StoreSettings((url,), operation_timeout_seconds=10.0)) as store:
            yield store, cutter
    finally:
        listener.close()
        for writer in cutter.clients:
            writer.close()
        await asyncio.gather(*cutter.serving)
        await listener.wait_closed()


async def get_patiently(store: ShardedStore, record_id: int) -> bytes | None:
    """A shard that cut a new connection off is absent until the next probe."""
    for _ in range(100):
        with suppress(StoreUnavailableError):
            return await store.get(record_id)
        await asyncio.sleep(0.05)
    raise AssertionError("the shard did not come back")


both_ends = pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])


@on_both_loops
@both_ends
@pytest.mark.parametrize("keep", [0, 1, 4])
def test_a_write_whose_reply_was_cut_is_not_stored_and_may_be_repeated(
    server: RedisServer, run: Run, keep: int, reset: bool
):
    async def scenario() -> None:
        async with store_behind_a_cutter(server) as (store, cutter):
            cutter.keep, cutter.reset = keep, reset
            assert await store.put(7, b"value") == Stored.NONE
            assert server.command("EXISTS d:{7}") == b":1\r\n", "it was carried out all the same"
            cutter.keep = None
            await get_patiently(store, 7)
            assert await store.put(7, b"value") == Stored.REPLICATED
            with pytest.raises(RecordConflictError):
                await store.put(7, b"other")
            assert await store.get(7) == b"value"

    run(scenario())


@on_both_loops
@both_ends
@pytest.mark.parametrize("keep", [0, 1, 5, 500, 1006, 1008])
def test_a_value_cut_in_the_middle_is_no_value_and_no_absence(
    server: RedisServer, run: Run, keep: int, reset: bool
):
    async def scenario() -> None:
        async with store_behind_a_cutter(server) as (store, cutter):
            await store.put(7, b"x" * 1000)  # its reply: $1000 and the value, 1009 bytes
            cutter.keep, cutter.reset = keep, reset
            with pytest.raises(StoreUnavailableError):
                await store.get(7)
            cutter.keep = None
            assert await get_patiently(store, 7) == b"x" * 1000

    run(scenario())


@on_both_loops
@both_ends
def test_idle_connections_that_were_ended_are_replaced(server: RedisServer, run: Run, reset: bool):
    async def scenario() -> None:
        async with store_behind_a_cutter(server) as (store, cutter):
            await asyncio.gather(*(store.put(i, b"value") for i in range(8)))
            cutter.reset = reset
            for writer in cutter.clients:
                cutter.end(writer)
            await asyncio.sleep(0.05)  # till the ends have arrived; nobody says when they have
            assert await asyncio.gather(*map(store.get, range(8))) == [b"value"] * 8

    run(scenario())


@on_both_loops
def test_no_operation_waits_for_the_end_of_an_old_connection(
    server: RedisServer, run: Run, monkeypatch: pytest.MonkeyPatch
):
    async def long(_writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def scenario() -> None:
        async with store_behind_a_cutter(server) as (store, cutter):
            await store.put(7, b"value")
            for writer in cutter.clients:
                cutter.end(writer)
            await asyncio.sleep(0.05)
            with monkeypatch.context() as closing:
                closing.setattr(asyncio.StreamWriter, "wait_closed", long)
                assert await store.get(7) == b"value"

    run(scenario())


@on_both_loops
@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x01\x02\r\n", b"$-2\r\n", b"*1\r\n", b"$5\r\nval",
     b"-ERR unknown command\r\n"],
)  # fmt: skip
def test_a_reply_that_is_none_is_neither_a_value_nor_stored(run: Run, reply: bytes):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while await reader.read(65536):
                writer.write(reply)
        writer.close()

    async def scenario() -> None:
        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with ShardedStore(StoreSettings((url,), operation_timeout_seconds=0.05)) as store:
            assert await store.put(7, b"value") == Stored.NONE
            with pytest.raises(StoreUnavailableError):
                await store.get(7)
            assert await store.sizes() == {"redis1": None}
            assert [status.state for status in await store.status()] == ["down"]
        listener.close()
        await listener.wait_closed()

    run(scenario())


@on_both_loops
def test_callers_that_go_away_never_shift_the_replies_of_others(server: RedisServer, run: Run):
    dice = random.Random(20_260_101)
    records = {i: b"%d." % i * dice.randrange(1, 400) for i in range(200)}
    finished = cancelled = 0

    async def read(store: ShardedStore, record_id: int) -> None:
        nonlocal finished
        assert await store.get(record_id) == records.get(record_id)
        finished += 1

    async def write(store: ShardedStore, record_id: int) -> None:
        nonlocal finished
        assert await store.put(record_id, records[record_id]) == Stored.REPLICATED
        finished += 1

    async def caller(store: ShardedStore, operations: Iterator[int]) -> None:
        nonlocal cancelled
        for _ in operations:
            record_id = dice.randrange(250)  # every fifth does not exist
            again = record_id in records and dice.random() < 0.3
            task = asyncio.create_task((write if again else read)(store, record_id))
            if dice.random() < 0.4:
                await asyncio.sleep(dice.choice([0, 0, 0.0002, 0.001, 0.003]))
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1

    async def scenario() -> None:
        # A time-out that only a lost connection could reach: every operation must bring a reply.
        settings = StoreSettings((server.url,), operation_timeout_seconds=30.0)
        async with ShardedStore(settings) as store:
            for record_id, value in records.items():
                await store.put(record_id, value)
            operations = iter(range(10_000))
            await asyncio.gather(*(caller(store, operations) for _ in range(64)))
            # No connection and no turn was lost on the way.
            answers = await asyncio.gather(*(store.get(i) for i in records))
            assert answers == list(records.values())

    run(scenario())
    assert finished + cancelled == 10_000
    assert cancelled > 1000
    assert finished > 5000
