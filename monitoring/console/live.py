"""Looks once a second while somebody listens, and tells every listener. Edge."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from .events import Event, events_between
from .figures import chart_point
from .findings import findings, verdict
from .fragments import Alert, fragments
from .scraping import Scraper
from .snapshot import Snapshot

INTERVAL = 1.0
HISTORY = 300  # points of the charts, and so seconds
EVENTS = 60
WAITING = 5  # messages for a listener that does not read; older ones are dropped

Message = tuple[str, str]  # event of the stream, JSON


class Live:
    """Costs nothing while nobody listens."""

    def __init__(self, scraper: Scraper, start: str) -> None:
        self._scraper = scraper
        self._start = start
        self._listeners: set[asyncio.Queue[Message | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._points: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._since: dict[str, float] = {}
        self._last: Snapshot | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Queue[Message | None]]:
        """A queue of messages, the history first; None ends it."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue(WAITING)
        queue.put_nowait(("history", self._history()))
        self._listeners.add(queue)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None
                self._last = None
                self._scraper.forget()

    def note(self, what: str) -> None:
        """Something was done by a button: a line in the charts."""
        self._events.append(Event(round(1000 * time.time()), what))

    def close(self) -> None:
        """Every listener's stream ends."""
        for queue in self._listeners:
            _put(queue, None)

    def _history(self) -> str:
        told = {"start": self._start, "points": list(self._points), "events": self._told()}
        return json.dumps(told)

    def _told(self) -> list[dict[str, Any]]:
        return [asdict(event) for event in self._events]

    async def _run(self) -> None:
        try:
            await self._look_for_ever()
        except Exception:
            logging.exception("looking at the stack failed; pages try again")
            self.close()

    async def _look_for_ever(self) -> None:
        while True:
            began = time.monotonic()
            message = self._message(await self._scraper.look())
            for queue in self._listeners:
                _put(queue, message)
            await asyncio.sleep(max(0.1, INTERVAL - (time.monotonic() - began)))

    def _message(self, snapshot: Snapshot) -> Message:
        if self._last is not None:
            self._events.extend(events_between(self._last, snapshot))
        self._last = snapshot
        found = findings(snapshot)
        self._since = {one.part: self._since.get(one.part, snapshot.at) for one in found}
        alerts = [Alert(one, snapshot.at - self._since[one.part]) for one in found]
        point = chart_point(snapshot)
        self._points.append(point)
        level, sentence = verdict(snapshot, found)
        told = {
            "level": level,
            "sentence": sentence,
            "html": fragments(snapshot, (level, sentence), alerts, list(self._events)),
            "point": point,
            "events": self._told(),
        }
        return "look", json.dumps(told)


def _put(queue: asyncio.Queue[Message | None], message: Message | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(message)
