"""The open loop: requests at a fixed rate, however slowly answers come. Edge.

Each request's time counts from the moment it was *due*, so a service that stands still for a
second shows it in every request of that second (no coordinated omission). When this program
itself cannot keep up that shows in `late`, and the drill is not valid.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from random import Random

from .answers import Answer, Reply, judge_ask, judge_read
from .client import Client
from .pacing import Mix, due_at
from .recording import Recording

CONNECTIONS = 8000  # at most; over it requests wait in here, and their time runs on
TICK = 0.002  # seconds between looks for requests that are due
FLUSH = 0.1  # seconds between writes to the files


@dataclass(frozen=True)
class Plan:
    """What one generator does: `rate` requests a second to 127.0.0.1:`port`.

    `nice` is its priority: clients have machines of their own, here they share one with what they
    measure. Answers go to `answers`, acknowledged writes to `ledger`; request n is sent with the id
    `NAME-n`, which is found again in the product's logs.
    """

    name: str
    port: int
    rate: float
    seed: int
    answers: str
    ledger: str
    nice: int = 0


class OpenLoop:
    """Runs one plan until told to stop."""

    def __init__(self, plan: Plan, client: Client, recording: Recording) -> None:
        self._plan = plan
        self._client = client
        self._recording = recording
        self._mix = Mix(Random(plan.seed))
        self._start = time.monotonic()
        self._sent = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then wait for the answers still missing."""
        writing = asyncio.create_task(self._write())
        try:
            await self._send(stop)
            await self._client.all_answered()
        finally:
            writing.cancel()
            self._flush()

    async def _send(self, stop: asyncio.Event) -> None:
        self._start = time.monotonic()
        while not stop.is_set():
            while (due := self._next_due()) <= (now := time.monotonic()):
                self._ask(due, now)
            await asyncio.sleep(TICK)

    def _next_due(self) -> float:
        return due_at(self._start, self._plan.rate, self._sent)

    def _ask(self, due: float, now: float) -> None:
        self._sent += 1
        following = self._mix.next()
        path = "/" if following.record is None else f"/data/{following.record[0]}"
        sent = _Sent(self._sent, due, now - due, following.record)
        request_id = f"{self._plan.name}-{self._sent}"
        self._client.get(
            path, request_id, partial(self._answered, sent), due=due, fresh=following.fresh
        )

    def _answered(self, sent: _Sent, reply: Reply) -> None:
        said = judge_ask(reply) if sent.record is None else judge_read(reply, *sent.record)
        if said.digest and said.id is not None:
            self._mix.records.append((said.id, said.digest))
        answer = Answer(
            sent.number,
            sent.due,
            sent.late,
            time.monotonic() - sent.due,
            "ask" if sent.record is None else "read",
            reply.status,
            said.outcome,
            said.source,
            said.id,
            said.stored,
            said.reason,
        )
        self._recording.add(answer, said.digest)

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            self._flush()

    def _flush(self) -> None:
        oldest = self._client.oldest_due()
        self._recording.flush(self._next_due() if oldest is None else oldest)


@dataclass(frozen=True, slots=True)
class _Sent:
    number: int
    due: float
    late: float
    record: tuple[int, str] | None
