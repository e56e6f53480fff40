"""Redis servers in memory on simulated time: what the store says to a server, and its faults.

The store's own client speaks to them through an asyncio transport, so pipelining, time-outs,
probes and lost connections are the real ones. A command that is not known here is an error reply.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from shards.layout import IDENTITY, MAPS
from shards.scripts import even_if_full, forget_expired, let_go, sure_if
from tests.simulated_time import SimulatedLoop

Reply = Any  # str, bytes, int, None, list, or an Exception: an error reply
_LATENCY = 0.0002  # seconds each way
_WRITES = (b"SET", b"SADD", b"HSET", b"HSETNX")


class FakeNetwork(SimulatedLoop):
    """An event loop whose connections lead to servers in memory, known by their ports."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[int, FakeRedis] = {}

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        await asyncio.sleep(_LATENCY)
        server = self.servers[port]
        if not server.runs:
            raise ConnectionRefusedError(111, "Connection refused")
        protocol = factory()
        link = _Link(self, server, protocol)
        protocol.connection_made(link)
        return link, protocol


class FakeRedis:
    """One server with three databases."""

    def __init__(self, loop: FakeNetwork) -> None:
        self._loop = self.network = loop
        self._links: list[_Link] = []
        self._random = random.Random(1)
        self.runs = True
        self.full = False
        self.frozen = False
        self.commands_before_cut: int | None = None
        self.wipe()

    def wipe(self) -> None:
        self._keys: list[dict[bytes, Any]] = [{}, {}, {}]
        self._expire_at: list[dict[bytes, float]] = [{}, {}, {}]

    def crash(self) -> None:
        """What it was told is on its disk; connections are reset."""
        self.runs = False
        self.cut()

    def cut(self) -> None:
        links, self._links = self._links, []
        for link in links:
            link.break_off()

    def thaw(self) -> None:
        self.frozen = False
        for link in list(self._links):
            link.work()

    def connected(self, link: _Link) -> None:
        self._links.append(link)

    def keys(self, database: int) -> dict[bytes, Any]:
        """What has not expired."""
        alive, expire_at = self._keys[database], self._expire_at[database]
        for key in [key for key, at in expire_at.items() if at <= self._loop.time()]:
            alive.pop(key, None)
            del expire_at[key]
        return alive

    def do(self, database: int, name: bytes, *arguments: bytes) -> Reply:
        if self.commands_before_cut is not None:
            self.commands_before_cut -= 1
        method = getattr(self, f"_{name.decode().lower()}", None)
        if method is None:
            return hiredis.ReplyError(f"ERR unknown command {name.decode()}")
        return cast("Reply", method(database, *arguments))

    def refusal(self, name: bytes) -> hiredis.ReplyError | None:
        if self.full and name in _WRITES:
            return hiredis.ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
        return None

    # Commands

    def _get(self, database: int, key: bytes) -> Reply:
        return self.keys(database).get(key)

    def _set(self, database: int, key: bytes, value: bytes, *options: bytes) -> Reply:
        if b"NX" in options and key in self.keys(database):
            return None
        self._keys[database][key] = value
        self._expire_at[database].pop(key, None)
        if b"PX" in options:
            self._pexpire(database, key, options[options.index(b"PX") + 1])
        return "OK"

    def _del(self, database: int, *keys: bytes) -> Reply:
        return sum(self.keys(database).pop(key, None) is not None for key in keys)

    def _pttl(self, database: int, key: bytes) -> Reply:
        if key not in self.keys(database):
            return -2
        at = self._expire_at[database].get(key)
        return -1 if at is None else round((at - self._loop.time()) * 1000)

    def _pexpire(self, database: int, key: bytes, ms: bytes) -> Reply:
        if key not in self.keys(database):
            return 0
        self._expire_at[database][key] = self._loop.time() + int(ms) / 1000
        return 1

    def _dbsize(self, database: int) -> Reply:
        return len(self.keys(database))

    def _scan(self, database: int, cursor: bytes, *options: bytes) -> Reply:
        """By key, a few at a time: what is there all the while comes, as in Redis."""
        keys = sorted(self.keys(database))
        start = int(cursor)
        following = start + 20
        return [b"%d" % (following if following < len(keys) else 0), keys[start:following]]

    def _sadd(self, database: int, key: bytes, *members: bytes) -> Reply:
        present = self.keys(database).setdefault(key, set())
        before = len(present)
        present.update(members)
        return len(present) - before

    def _srem(self, database: int, key: bytes, *members: bytes) -> Reply:
        present = self.keys(database).get(key, set())
        before = len(present)
        present.difference_update(members)
        return before - len(present)

    def _scard(self, database: int, key: bytes) -> Reply:
        return len(self.keys(database).get(key, ()))

    def _smembers(self, database: int, key: bytes) -> Reply:
        return sorted(self.keys(database).get(key, ()))

    def _srandmember(self, database: int, key: bytes, count: bytes) -> Reply:
        members = sorted(self.keys(database).get(key, ()))
        return self._random.sample(members, min(int(count), len(members)))

    def _hgetall(self, database: int, key: bytes) -> Reply:
        return [one for pair in self.keys(database).get(key, {}).items() for one in pair]

    def _hset(self, database: int, key: bytes, field: bytes, value: bytes) -> Reply:
        self.keys(database).setdefault(key, {})[field] = value
        return 1

    def _hsetnx(self, database: int, key: bytes, field: bytes, value: bytes) -> Reply:
        self.keys(database).setdefault(key, {}).setdefault(field, value)
        return 1

    def _eval(self, database: int, script: bytes, count: bytes, *arguments: bytes) -> Reply:
        """Those that the healer uses."""
        if script == even_if_full([])[1]:
            replies, left = [], list(arguments)
            while left:
                command, left = left[1 : int(left[0]) + 1], left[int(left[0]) + 1 :]
                replies.append(self.do(database, *command))
            return replies
        if script == forget_expired("", [])[1]:
            hints, *records = arguments[: int(count)]
            there = {*self.keys(0), *self.keys(1)}
            ids = arguments[int(count) + 3 :]
            gone = [i for i, key in zip(ids, records, strict=True) if key not in there]
            return self._srem(database, hints, *gone)
        keys, values = arguments[: int(count)], arguments[int(count) :]
        if self._get(database, keys[0]) != values[0]:
            return 0
        if script == sure_if(b"")[1]:
            assert keys == (IDENTITY, MAPS)
            return self._srem(database, keys[1], values[1])
        if script == let_go(b"", b"")[1]:
            return self._del(database, keys[0])
        return hiredis.ReplyError("ERR unknown script")


class _Link(asyncio.Transport):
    """The client's end of a connection, and what the server knows of it."""

    def __init__(self, loop: FakeNetwork, server: FakeRedis, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._server = server
        self._protocol = protocol
        self._reader = hiredis.Reader()
        self._sent: deque[bytes] = deque()  # not yet at the server
        self._replies: deque[bytes] = deque()  # not yet at the client
        self._waiting: list[list[bytes]] = []
        self._database = 0
        self._transaction: list[list[bytes]] | None = None
        self._refused = False
        self._open = True
        server.connected(self)

    # The client's

    def write(self, data: bytes | bytearray | memoryview) -> None:
        # Timers of one moment come in any order, bytes of a connection do not.
        self._sent.append(bytes(data))
        self._loop.call_later(_LATENCY, self._arrive)

    def abort(self) -> None:
        self.break_off()

    # The server's

    def break_off(self) -> None:
        if self._open:
            self._open = False
            reset = ConnectionResetError(104, "Connection reset by peer")
            self._loop.call_soon(self._protocol.connection_lost, reset)

    def _arrive(self) -> None:
        self._reader.feed(self._sent.popleft())
        while (command := self._reader.gets()) is not False:
            self._waiting.append(cast("list[bytes]", command))
        self.work()

    def work(self) -> None:
        """What has arrived, unless it stands still; a cut takes the replies along."""
        if not self._open or self._server.frozen:
            return
        waiting, self._waiting = self._waiting, []
        replies = []
        for command in waiting:
            replies.append(_encode(self._obey(*command)))
            if (
                self._server.commands_before_cut is not None
                and self._server.commands_before_cut <= 0
            ):
                self._server.commands_before_cut = None
                self._server.cut()
                return
        self._replies.append(b"".join(replies))
        self._loop.call_later(_LATENCY, self._deliver)

    def _deliver(self) -> None:
        data = self._replies.popleft()
        if self._open and data:
            self._protocol.data_received(data)

    def _obey(self, name: bytes, *arguments: bytes) -> Reply:
        if name == b"MULTI":
            self._transaction, self._refused = [], False
            return "OK"
        if name == b"EXEC":
            commands, self._transaction = self._transaction or [], None
            if self._refused:
                return hiredis.ReplyError("EXECABORT Transaction discarded because of errors.")
            return [self._do(*command) for command in commands]
        refusal = self._server.refusal(name)
        if refusal is not None:
            self._refused = True
            return refusal
        if self._transaction is not None:
            self._transaction.append([name, *arguments])
            return "QUEUED"
        return self._do(name, *arguments)

    def _do(self, name: bytes, *arguments: bytes) -> Reply:
        if name == b"SELECT":
            self._database = int(arguments[0])
            return "OK"
        return self._server.do(self._database, name, *arguments)


def _encode(reply: Reply) -> bytes:
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, str):
        return f"+{reply}\r\n".encode()
    if isinstance(reply, Exception):
        return f"-{reply}\r\n".encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(map(_encode, reply))
