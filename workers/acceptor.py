"""Accepting on a socket that several workers share, so that each gets its fair part.

A shared socket wakes every worker, and an event loop that accepts until nothing is left takes
what it can; with a SO_REUSEPORT socket per slot a hash decides, and a hung worker stalls its part.
*Measured* (`make bench`, pool-spread: 4 workers on 2 busy cores), requests of the busiest worker
over the mean, medians:

    connections kept      8     32     64
    this                1.05   1.05   1.08
    uvloop's own        3.44   1.99   2.44
    a socket per slot   1.43   1.22   1.32

That is why one shared socket is the default. Its price: of connections that bring one request
each, with next to no work in it, about a fifth fewer a second.

The rule: a worker with more connections than the least loaded of its living siblings leaves a
new one to them, but only for a moment, so that no connection ever waits for a worker that does not
come.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from .status import Row, StatusPage

_LOOK_SECONDS = 0.002  # how often one who waits for a sibling looks whether it came
_LONGEST_WAIT = 0.02  # a sibling that has to be given a CPU first comes later than that seldom
_RETRY_SECONDS = 0.1  # out of descriptors: they come back as connections close
_BATCH = 64  # connections taken in one turn of the loop, if a sibling may take the next ones
_BATCH_ALONE = 2048  # a busy loop turns twice a second, and a full queue drops who comes
_FRESH_NS = 2_500_000_000  # two heartbeats and a half; who is silent for longer does not accept

ProtocolFactory = Callable[[], asyncio.BaseProtocol]


class _CountedSocket(socket.socket):
    """A connection that is counted until its loop lets go of it: asyncio's closes the socket,
    uvloop detaches it and closes the descriptor."""

    row: Row | None = None
    then: Callable[[], None]

    def close(self) -> None:
        self._gone()
        super().close()

    def detach(self) -> int:
        self._gone()
        return super().detach()

    def _gone(self) -> None:
        row, self.row = self.row, None
        if row is not None:
            row.connection_closed()
            self.then()


class Acceptor:
    """Serves `factory`'s protocols on the shared socket until `close`."""

    def __init__(
        self, sock: socket.socket, factory: ProtocolFactory, row: Row, page: StatusPage
    ) -> None:
        self._socket = sock
        self._kind = (sock.family, sock.type, sock.proto)  # who does not tell makes the kernel tell
        self._factory = factory
        self._row = row
        self._page = page
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._leaves_it = False
        self._patience = _LONGEST_WAIT
        self._serving: set[asyncio.Task[None]] = set()
        self._open = True
        self._listen()

    def close(self) -> None:
        """Take the connections that wait already, then give up this worker's copy of the socket.

        With the last copy the kernel resets what is still queued, and clients in the queue may
        have sent their request already.
        """
        if not self._open:
            return
        self._pause()
        self._open = False
        with suppress(OSError):  # BlockingIOError: that was all
            while True:
                self._accept()
        self._socket.close()

    def _listen(self) -> None:
        self._timer = None
        if self._open:
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _pause(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        if self._timer is not None:
            self._timer.cancel()

    def _readable(self) -> None:
        spare = self._spare()
        if spare > 0:
            self._take(spare)
        else:
            self._pause()
            self._leaves_it = True
            self._leave_it(until=self._loop.time() + self._patience)

    def _leave_it(self, until: float) -> None:
        """Look again and again until a sibling has taken it, or none came in time.

        Who waited in vain waits half as long next time, down to one look: a sibling that hangs
        with the fewest connections holds nobody up for longer than that.
        """
        spare = self._spare()
        if spare <= 0 and self._loop.time() < until:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._leave_it, until)
            return
        longer = self._patience * (2.0 if spare > 0 else 0.5)
        self._patience = min(max(longer, _LOOK_SECONDS), _LONGEST_WAIT)
        self._leaves_it = False
        self._listen()
        self._take(spare)

    def _connection_closed(self) -> None:
        """Without this look, connections of one request each would wait for the next one."""
        if self._open and self._leaves_it and self._timer is not None and self._spare() > 0:
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._leave_it, 0.0)

    def _take(self, spare: int) -> None:
        try:
            for _ in range(max(1, spare)):
                self._accept()
        except BlockingIOError:
            pass
        except OSError as error:
            self._loop.call_exception_handler({"message": "cannot accept", "exception": error})
            self._pause()
            self._timer = self._loop.call_later(_RETRY_SECONDS, self._listen)

    def _spare(self) -> int:
        """How many more connections this worker may take before it has more than another."""
        loads = self._page.loads(beaten_since_ns=time.monotonic_ns() - _FRESH_NS)
        if len(loads) <= 1:
            return _BATCH_ALONE
        return min(min(loads) + 1 - self._row.connections, _BATCH)

    def _accept(self) -> None:
        accepted, _address = self._socket.accept()
        connection = _CountedSocket(*self._kind, accepted.detach())
        connection.setblocking(False)
        connection.row, connection.then = self._row, self._connection_closed
        self._row.connection_opened()
        task = self._loop.create_task(self._serve(connection))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:  # gone again
            connection.close()
