"""Makes the faults of `faults.py`. Edge."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

import aiohttp
import psutil

from ..stack.project import Project
from .faults import BURST_CLIENTS, BURST_REQUESTS, Fault, all_faults, faults_url
from .snapshot import role


class FaultError(RuntimeError):
    """It could not be done; the text says why."""


class Doer:
    """Pids come from supervisord, never from the page. `do` raises FaultError and
    SupervisorError."""

    def __init__(self, project: Project, session: aiohttp.ClientSession) -> None:
        self.faults = all_faults(project.topology)
        self._project = project
        self._session = session
        self._burst: asyncio.Task[None] | None = None

    async def do(self, fault: Fault) -> None:
        supervisor, name = self._project.supervisor, fault.program
        match fault.action:
            case "stop":
                await asyncio.to_thread(supervisor.stop, name)
            case "start":
                await asyncio.to_thread(supervisor.start, name)
            case "kill-worker":
                await asyncio.to_thread(self._kill_worker, name)
            case "freeze":
                await asyncio.to_thread(self._signal, name, signal.SIGSTOP)
            case "thaw":
                await asyncio.to_thread(self._signal, name, signal.SIGCONT)
            case "faults":
                await self._set_faults(fault.rates)
            case "burst":
                self._start_burst()
            case "put-right":
                await self._put_right()

    async def close(self) -> None:
        if self._burst is not None:
            self._burst.cancel()
            await asyncio.wait([self._burst])

    def _pid(self, name: str) -> int:
        process = self._project.supervisor.processes().get(name)
        if process is None or not process.pid:
            raise FaultError(f"{name} does not run")
        return process.pid

    def _signal(self, name: str, number: signal.Signals) -> None:
        try:
            os.kill(self._pid(name), number)
        except ProcessLookupError:
            raise FaultError(f"{name} has just ended") from None

    def _kill_worker(self, name: str) -> None:
        try:
            workers = psutil.Process(self._pid(name)).children()
            if not workers:
                raise FaultError(f"{name} has no worker now")
            min(workers, key=lambda worker: worker.pid).kill()
        except psutil.Error:
            raise FaultError(f"the worker of {name} has just ended") from None

    async def _set_faults(self, rates: Mapping[str, float] | None) -> None:
        """None: as it was at its start."""
        url = faults_url(self._project.topology) or ""
        method = "DELETE" if rates is None else "PUT"
        body = None if rates is None else dict(rates)
        try:
            if rates is not None:  # one named fault at a time, not on top of the last
                await self._ask("DELETE", url, None)
            await self._ask(method, url, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FaultError(f"{url} does not answer: {error}") from None

    async def _ask(self, method: str, url: str, body: dict[str, float] | None) -> None:
        limit = aiohttp.ClientTimeout(total=3)
        async with self._session.request(method, url, json=body, timeout=limit) as response:
            if response.status != 200:
                raise FaultError(f"{url} answers {response.status}: {await response.text()}")

    def _start_burst(self) -> None:
        if self._burst is not None and not self._burst.done():
            raise FaultError("a burst is on its way already")
        self._burst = asyncio.create_task(self._send_burst())

    async def _send_burst(self) -> None:
        """Answers do not matter: what they do to the stack is on the page."""
        door = next(
            program.url
            for program in self._project.topology.programs
            if role(program) == "balancer" and program.url
        )
        left = iter(range(BURST_REQUESTS))

        async def client() -> None:
            for _ in left:
                try:
                    async with self._session.get(
                        door, timeout=aiohttp.ClientTimeout(total=10)
                    ) as response:
                        await response.read()
                except (aiohttp.ClientError, TimeoutError, OSError):
                    continue

        await asyncio.gather(*(client() for _ in range(BURST_CLIENTS)))

    async def _put_right(self) -> None:
        """Everything goes on, runs, and the external service is as it started."""
        topology = self._project.topology
        await asyncio.to_thread(self._thaw_and_start)
        if faults_url(topology) is None:
            return
        for wait in (0.2, 0.4, 0.8, 1.6, 3.2):  # it may be starting just now
            try:
                await self._set_faults(None)
                return
            except FaultError:
                await asyncio.sleep(wait)
        await self._set_faults(None)

    def _thaw_and_start(self) -> None:
        supervisor = self._project.supervisor
        processes = supervisor.processes()
        for program in self._project.topology.programs:
            process = processes.get(program.name)
            if process is None or not program.autostart or program.optional:
                continue
            if process.pid:
                _thaw(process.pid)
            if process.state not in ("RUNNING", "STARTING"):
                supervisor.start(program.name)


def _thaw(pid: int) -> None:
    try:
        whole = psutil.Process(pid)
        for process in (whole, *whole.children(recursive=True)):
            if process.status() == psutil.STATUS_STOPPED:
                process.resume()
    except psutil.NoSuchProcess:
        return
