"""What the machine can do, found out once: the rate of the drills is a third of it. Edge."""

from __future__ import annotations

import asyncio
import time

from .answers import Reply, judge_ask
from .client import Client

CLIENTS = 256  # each with one request on its way: with the stock faults most of them wait
SETTLE = 1.0  # seconds before it counts
MEASURED = 2.0  # seconds that count
SHARE = 1 / 3
LOWEST = 20.0  # below it there is too little to judge in half a second


class CalibrationError(Exception):
    """The stack did not answer."""


async def capacity(port: int) -> float:
    """Answers a second to `GET /` that a closed loop gets."""
    client = Client("127.0.0.1", port, limit=CLIENTS)
    count = 0
    asking = True

    def answered(reply: Reply) -> None:
        nonlocal count
        count += judge_ask(reply).outcome == "answered"
        if asking:
            ask()

    def ask() -> None:
        client.get("/", "calibration", answered)

    async with client.running():
        for _ in range(CLIENTS):
            ask()
        await asyncio.sleep(SETTLE)
        before, began = count, time.monotonic()
        await asyncio.sleep(MEASURED)
        rate = (count - before) / (time.monotonic() - began)
        asking = False
    if not rate:
        raise CalibrationError("the stack answered no request while its speed was measured")
    return rate


def rate_for(found: float) -> float:
    """The steady rate for a capacity, in round numbers. Pure."""
    return max(LOWEST, round(found * SHARE, -1))
