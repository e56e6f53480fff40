"""`python -m tests.bench.open_loop`: requests at a fixed rate, each timed from when it was due.

A closed loop (wrk) sends the next request when the last one is answered, so a server that stalls is
asked less and its stall counts once ("coordinated omission", G. Tene). Here arrivals are a Poisson
process drawn beforehand from a seed: every server meets the same ones, whatever it does.

One thread, raw sockets and select(2), whose time-out has microseconds (epoll's and asyncio's have
milliseconds, which would send in bursts). The plan is one line of JSON on standard input, the
outcome one on standard output. What this program itself was late is in the outcome, so that its
reader can refuse a run in which the generator was the slow part.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque

import httptools

from .paced import Outcome, Plan, percentiles

_PR_SET_TIMERSLACK = 29  # linux/prctl.h; the default lets select oversleep by 50 us
_READ = 1 << 18
_LAST_ANSWERS = 15.0  # seconds to wait, after the last request was sent, for those in flight


class Connection:
    """One keep-alive connection; at most one request is on its way."""

    def __init__(self, address: tuple[str, int], mark: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.complete = False
        self.marked = False
        self._mark = mark
        self._body = b""
        if mark:  # the parser looks for it once, and calls nothing when it is not there
            self.on_body = self._keep_body
        self._parser = httptools.HttpResponseParser(self)

    def _keep_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.complete = True
        self.marked = bool(self._mark) and self._mark in self._body
        self._body = b""

    def send(self, request: bytes, due: float) -> None:
        """Raises OSError, also when the socket does not take all of it at once."""
        self.complete, self.due = False, due
        if self.socket.send(request) != len(request):
            raise OSError("the request does not fit the socket's buffer")

    def receive(self) -> bool:
        """Whether the answer is complete and 200. Raises OSError when it will never be."""
        with contextlib.suppress(BlockingIOError):
            while not self.complete:
                data = self.socket.recv(_READ)
                if not data:
                    raise OSError("closed in the middle")
                try:
                    self._parser.feed_data(data)
                except httptools.HttpParserError as error:
                    raise OSError(f"not HTTP: {error}") from error
        if self.complete and self._parser.get_status_code() != 200:
            raise OSError(f"status {self._parser.get_status_code()}")
        return self.complete


class Generator:
    """Sends the plan's requests and collects what came of them. Times are perf_counter's."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free: deque[Connection] = deque()
        self._busy: dict[int, Connection] = {}
        self._latencies: list[float] = []
        self._late: list[float] = []
        self._errors: dict[str, int] = {}
        self._marked = 0
        self._free_since = 0.0  # when there was a free connection again

    def run(self) -> Outcome:
        plan = self._plan
        due = arrivals(plan)
        for _ in range(min(plan.connections, len(due))):
            self._free.append(Connection(("127.0.0.1", plan.port), plan.mark.encode()))
        start = time.perf_counter() + 0.01
        measured_from = start + plan.warmup
        last = self._send_all([start + at for at in due], measured_from)
        self._wait_for_answers(measured_from)
        return Outcome(
            planned=sum(1 for at in due if at >= plan.warmup),
            answered=len(self._latencies),
            errors=self._errors,
            marked=self._marked,
            sending_took=(last - start) / due[-1] if due[-1] else 1.0,
            mean=sum(self._latencies) / max(1, len(self._latencies)),
            latency=percentiles(self._latencies),
            late=percentiles(self._late),
        )

    def _send_all(self, due: list[float], measured_from: float) -> float:
        """When the last one was sent."""
        request, number, now = self._plan.request.encode("latin-1"), 0, time.perf_counter()
        while number < len(due):
            while number < len(due) and due[number] <= now and self._free:
                connection = self._free.popleft()
                if due[number] >= measured_from:
                    self._late.append(now - max(due[number], self._free_since))
                self._busy[connection.socket.fileno()] = connection
                try:
                    connection.send(request, due[number])
                except OSError as error:
                    self._failed(connection, error)
                number += 1
                now = time.perf_counter()
            wait = due[number] - now if number < len(due) and self._free else 1.0
            self._collect(max(0.0, wait), measured_from)
            now = time.perf_counter()
        return now

    def _wait_for_answers(self, measured_from: float) -> None:
        end = time.perf_counter() + _LAST_ANSWERS
        while self._busy and time.perf_counter() < end:
            self._collect(0.1, measured_from)
        for connection in list(self._busy.values()):
            self._failed(connection, OSError("no answer"))

    def _collect(self, wait: float, measured_from: float) -> None:
        readable, _, _ = select.select(list(self._busy), (), (), wait)
        for number in readable:
            connection = self._busy[number]
            try:
                if not connection.receive():
                    continue
            except OSError as error:
                self._failed(connection, error)
                continue
            if connection.due >= measured_from:
                self._latencies.append(time.perf_counter() - connection.due)
                self._marked += connection.marked
            del self._busy[number]
            self._give_back(connection)

    def _failed(self, connection: Connection, error: OSError) -> None:
        """Counted by reason; a fresh connection takes its place."""
        reason = error.strerror or str(error)
        self._errors[reason] = self._errors.get(reason, 0) + 1
        del self._busy[connection.socket.fileno()]
        connection.socket.close()
        try:
            fresh = Connection(("127.0.0.1", self._plan.port), self._plan.mark.encode())
        except OSError:
            if not self._free and not self._busy:
                raise  # nothing left to send on
        else:
            self._give_back(fresh)

    def _give_back(self, connection: Connection) -> None:
        if not self._free:
            self._free_since = time.perf_counter()
        self._free.append(connection)


def arrivals(plan: Plan) -> list[float]:
    """Seconds after the start at which requests are due."""
    dice, at, due = random.Random(plan.seed), 0.0, []
    while (at := at + dice.expovariate(plan.rate)) < plan.warmup + plan.seconds:
        due.append(at)
    return due or [0.0]


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    gc.disable()
    print(json.dumps(vars(Generator(plan).run())))


if __name__ == "__main__":
    main()
