"""A backend that says that work waits there gets less of it, and all of it again afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

from balancer.concurrency import BEGIN
from tests.balancer_process import BalancerProcess, Load, balancer, eventually
from tests.scripted_backend import ScriptedBackend

CLIENTS = 100  # more than a strained backend may have, fewer than one at rest


class Waiting:
    """Answers after 50 ms and says how long work waits for the CPU."""

    def __init__(self, queue_seconds: float | None) -> None:
        self.queue_seconds = queue_seconds

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        told = ""
        if self.queue_seconds is not None:
            told = (
                f"Endpoint-Load-Metrics: TEXT named_metrics.queue_seconds={self.queue_seconds}\r\n"
            )
        await asyncio.sleep(0.05)
        writer.write(f"HTTP/1.1 200 OK\r\n{told}Content-Length: 2\r\n\r\nok".encode())


async def limit(door: BalancerProcess, backend: ScriptedBackend) -> int:
    return int((await door.backend(backend))["max_in_flight"])


async def test_a_backend_where_work_waits_gets_less_and_later_all_of_it_again(tmp_path: Path):
    script = Waiting(2.0)
    backend = await ScriptedBackend(script).start()
    async with balancer(tmp_path, backend) as door:
        async with Load(door.port, CLIENTS, pause=0.01) as load:
            await eventually(lambda: load.outcomes["503"], "some are refused")
            low = await limit(door, backend)
            assert low < CLIENTS
            assert await door.metric("balancer_shed_total", reason="backends") > 0
            script.queue_seconds = 0.0
            for _ in range(200):
                if await limit(door, backend) == BEGIN:
                    break
                await asyncio.sleep(0.05)
            load.outcomes.clear()
            await asyncio.sleep(0.5)
        assert set(load.outcomes) == {"200"}
    await backend.stop()


async def test_a_backend_that_says_nothing_of_its_load_is_not_held_back(tmp_path: Path):
    backend = await ScriptedBackend(Waiting(None)).start()
    async with balancer(tmp_path, backend) as door:
        async with Load(door.port, CLIENTS) as load:
            await asyncio.sleep(1.5)
        assert set(load.outcomes) == {"200"}
        assert await limit(door, backend) == 1024
    await backend.stop()


async def test_what_a_backend_says_of_its_load_does_not_reach_the_client(tmp_path: Path):
    backend = await ScriptedBackend(Waiting(0.001)).start()
    async with balancer(tmp_path, backend) as door:
        answer = await door.ask()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"endpoint-load-metrics" not in answer.lower()
    await backend.stop()
