"""At the end of a drill: is everything there that was acknowledged? Edge.

Each record is read through the front door, and looked for on the shards themselves. It is lost
when either does not bring the data it was acknowledged with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from .answers import Judgement, Reply, judge_read
from .client import Client
from .evidence import LedgerCheck, settle
from .keyspace import copies_of
from .stack import DrillStack

CLIENTS = 64
FEWEST_CLIENTS = 4
BATCH = 1000  # asked for at once: one that waits for its turn is not late yet
AGAIN = 0.25  # seconds between tries of what could not be read
GIVE_UP = 10.0  # seconds after which what cannot be read is lost; 404 and other data are at once


def check_ledger(stack: DrillStack, acknowledged: Mapping[int, str]) -> LedgerCheck:
    door = asyncio.run(read_all(stack.ports["BALANCER_PORT"], acknowledged))
    copies = copies_of(stack, list(acknowledged))
    return settle(acknowledged, door, copies)


async def read_all(port: int, acknowledged: Mapping[int, str]) -> dict[int, str]:
    """Ids that cannot be read through the front door with their data, and why."""
    left = dict(acknowledged)
    lost: dict[int, str] = {}
    until = time.monotonic() + GIVE_UP
    clients = CLIENTS
    while left:
        client = Client("127.0.0.1", port, limit=clients)
        async with client.running():
            said = await _ask_for(client, left)
        last = time.monotonic() > until
        for record_id, judgement in said.items():
            if judgement.outcome == "answered":
                del left[record_id]
            elif last or judgement.outcome in ("missing", "wrong"):
                del left[record_id]
                lost[record_id] = f"{judgement.outcome} at the front door"
        if left:
            clients = max(FEWEST_CLIENTS, clients // 2)  # a door may let in only so many at once
            await asyncio.sleep(AGAIN)
    return lost


async def _ask_for(client: Client, records: Mapping[int, str]) -> dict[int, Judgement]:
    """Every record once."""
    said: dict[int, Judgement] = {}

    def note(record_id: int, reply: Reply) -> None:
        said[record_id] = judge_read(reply, record_id, records[record_id])

    ids = list(records)
    for start in range(0, len(ids), BATCH):
        for record_id in ids[start : start + BATCH]:
            client.get(f"/data/{record_id}", f"ledger-{record_id}", partial(note, record_id))
        await client.all_answered()
    return said
