"""One look at everything: states, /metrics, /workers, CPU and memory. Edge."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import psutil

from ..stack.project import Project
from ..stack.state import ProgramState, StackState
from .findings import RECENT_SECONDS
from .readings import Change, Readings, parse
from .snapshot import Role, Snapshot, Use, role
from .watch import Watch

TRIES = 2  # a connection that a frozen worker has accepted is never answered, the next one is
TRY_SECONDS = 0.9
WINDOW = 3  # looks over which rates are taken: less noise than from one second to the next
_TELLING: tuple[Role, ...] = ("app", "balancer", "unstable")
_POOLED: tuple[Role, ...] = ("app", "balancer")


@dataclass(frozen=True)
class _Restarts:
    at: float
    counts: Mapping[str, tuple[int, Mapping[str, int]]]  # program -> pid of the pool, counts


class Scraper:
    """Remembers what it saw, for rates."""

    def __init__(self, project: Project, watch: Watch, session: aiohttp.ClientSession) -> None:
        self._watch = watch
        self._session = session
        self.roles = {program.name: role(program) for program in project.topology.programs}
        self._bases = {
            program.name: (program.ready or "").rpartition("/")[0]
            for program in project.topology.programs
        }
        self._readings: dict[str, deque[Readings]] = {}
        self._restarts: deque[_Restarts] = deque()
        self._processes: dict[int, tuple[float, float]] = {}  # pid -> CPU seconds, Unix time

    def forget(self) -> None:
        """Rates begin anew: nobody has looked for a while."""
        self._readings.clear()
        self._restarts.clear()
        self._processes.clear()

    async def look(self) -> Snapshot:
        """At most about two time limits long, whatever hangs."""
        state = await self._watch.state()
        running = [program for program in state.programs if self._tells(program)]
        texts, pools = await asyncio.gather(
            self._ask({one.name: "/metrics" for one in running}),
            self._ask({one.name: "/workers" for one in running if self.roles[one.name] in _POOLED}),
        )
        now = time.time()
        seen = {name: pool for name, pool in pools.items() if isinstance(pool, dict)}
        return Snapshot(
            at=now,
            state=state,
            roles=self.roles,
            changes=self._changes({k: v for k, v in texts.items() if isinstance(v, str)}, now),
            pools=seen,
            restarts=self._recent_restarts(seen, now),
            uses=self._uses(state, seen, now),
        )

    def _tells(self, program: ProgramState) -> bool:
        return program.pid > 0 and self.roles.get(program.name) in _TELLING

    async def _ask(self, paths: Mapping[str, str]) -> dict[str, Any]:
        answers = await asyncio.gather(
            *(self._get(f"{self._bases[name]}{path}") for name, path in paths.items())
        )
        return dict(zip(paths, answers, strict=True))

    async def _get(self, url: str) -> str | dict[str, Any] | None:
        """Text, or what the JSON says; None when there was no answer."""
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(TRY_SECONDS), self._session.get(url) as response:
                    if response.status != 200:
                        return None
                    if response.content_type == "application/json":
                        told: dict[str, Any] = await response.json()
                        return told
                    return await response.text()
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
                continue
        return None

    def _changes(self, texts: Mapping[str, str], now: float) -> dict[str, Change]:
        for name in set(self._readings) - set(texts):
            del self._readings[name]
        changes = {}
        for name, text in texts.items():
            try:
                seen = parse(text, now)
            except ValueError:  # something else answers on its port: no answer of its own
                continue
            looks = self._readings.setdefault(name, deque(maxlen=WINDOW + 1))
            looks.append(seen)
            changes[name] = Change(looks[-1], looks[0] if len(looks) > 1 else None)
        return changes

    def _recent_restarts(
        self, pools: Mapping[str, Mapping[str, Any]], now: float
    ) -> dict[str, dict[str, int]]:
        counts = {name: (pool["pid"], pool["restarts"]) for name, pool in pools.items()}
        self._restarts.append(_Restarts(now, counts))
        while self._restarts[0].at < now - RECENT_SECONDS:
            self._restarts.popleft()
        recent = {}
        for name, (pid, reasons) in counts.items():
            for look in self._restarts:
                if name in look.counts and look.counts[name][0] == pid:
                    before = look.counts[name][1]
                    recent[name] = {why: n - before.get(why, 0) for why, n in reasons.items()}
                    break
        return recent

    def _uses(
        self, state: StackState, pools: Mapping[str, Mapping[str, Any]], now: float
    ) -> dict[str, Use]:
        uses, seen = {}, dict[int, tuple[float, float]]()
        for program in state.programs:
            if not program.pid:
                continue
            workers = pools.get(program.name, {}).get("workers", [])
            uses[program.name] = self._use(
                [program.pid, *(worker["pid"] for worker in workers)], now, seen
            )
        self._processes = seen
        return uses

    def _use(self, pids: Iterable[int], now: float, seen: dict[int, tuple[float, float]]) -> Use:
        percent, memory, count = 0.0, 0, 0
        for pid in pids:
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:
                continue
            count += 1
            spent = times.user + times.system
            seen[pid] = (spent, now)
            if before := self._processes.get(pid):
                percent += 100 * max(0.0, spent - before[0]) / max(0.001, now - before[1])
        return Use(percent, memory, count)
