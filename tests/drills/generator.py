"""`python -m tests.drills.generator`: the program that makes the load. Composition.

Reads its plan, a line of JSON, from standard input, and runs until that ends; so it ends with the
drill that started it, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
from pathlib import Path

import uvloop

from .client import Client
from .load import CONNECTIONS, OpenLoop, Plan
from .recording import Recording


async def generate(plan: Plan) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    client = Client("127.0.0.1", plan.port, limit=CONNECTIONS)
    with Recording(Path(plan.answers), Path(plan.ledger)) as recording:
        async with client.running():
            await OpenLoop(plan, client, recording).run(stop)


def main() -> None:
    plan = Plan(**json.loads(os.read(sys.stdin.fileno(), 65536)))
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, plan.nice)  # below 0 needs root
    gc.freeze()  # a full collection among a hundred thousand answers would be a pause of ours
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(generate(plan))


if __name__ == "__main__":
    main()
