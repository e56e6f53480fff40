"""The attempts of one call, side by side: the first real answer wins, the others are cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

from .outcome import Attempt, AttemptError, Kind, Outcome, Trace

T = TypeVar("T")
AttemptFunction = Callable[[float], Awaitable[T]]

logger = logging.getLogger(__name__)

_cancelled: set[asyncio.Future[object]] = set()  # the loop alone would not keep them until they end


class _Running:
    """An attempt that has begun."""

    __slots__ = ("kind", "started")

    def __init__(self, kind: Kind, started: float) -> None:
        self.kind = kind
        self.started = started


class Race(Generic[T]):
    """Edge: starts attempts and waits for them; decides nothing.

    Args:
        attempt: one attempt; told how many seconds it has.
        limit: seconds an attempt may take, 0 for as long as the call has.
        expires: when the call ends, on `clock`.
    """

    def __init__(
        self,
        attempt: AttemptFunction[T],
        limit: float,
        expires: float,
        clock: Callable[[], float],
        trace: Trace,
    ) -> None:
        self._attempt = attempt
        self._limit = limit
        self._expires = expires
        self._clock = clock
        self._trace = trace
        self._running: dict[asyncio.Future[T], _Running] = {}
        self._ended: list[asyncio.Future[T]] = []
        self._waiter: asyncio.Future[None] | None = None
        self.launched = 0.0  # when the last attempt was

    @property
    def under_way(self) -> bool:
        """Whether an attempt may still bring something."""
        return bool(self._running)

    def launch(self, kind: Kind) -> None:
        now = self.launched = self._clock()
        left = self._expires - now
        limited = 0 < self._limit < left
        begun = self._bounded() if limited else self._attempt(left)
        future = asyncio.ensure_future(begun)
        self._running[future] = _Running(kind, now)
        future.add_done_callback(self._done)

    async def _bounded(self) -> T:
        async with asyncio.timeout(self._limit):
            return await self._attempt(self._limit)

    def _done(self, future: asyncio.Future[T]) -> None:
        if future in self._running:
            self._ended.append(future)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Until an attempt has ended, or so long."""
        if self._ended or seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    @property
    def has_result(self) -> bool:
        return bool(self._ended)

    @property
    def has_answer(self) -> bool:
        return any(_answered(future) for future in self._ended)

    def result(self) -> T:
        """The value of an attempt that answered, of those that ended; raises the AttemptError
        of one that failed when none did."""
        ended = next((future for future in self._ended if _answered(future)), self._ended[0])
        self._ended.remove(ended)
        running = self._running.pop(ended)
        try:
            value = ended.result()
        except asyncio.CancelledError:  # by itself; the caller is not being cancelled
            failure = AttemptError(Outcome.BAD_ANSWER, "the attempt cancelled itself")
            self._note(running, failure.outcome, str(failure))
            raise failure from None
        except Exception as error:
            if not isinstance(error, AttemptError | OSError):
                logger.exception("an attempt failed by a defect of its own code")
            failure = AttemptError.of(error)
            self._note(running, failure.outcome, str(failure))
            raise failure from error
        self._note(running, Outcome.OK)
        return value

    def close(self, outcome: Outcome) -> None:
        """Cancel what still runs; `outcome` is what that is called."""
        for future, running in self._running.items():
            if future.done():
                if not future.cancelled():
                    future.exception()  # seen
            else:
                future.cancel()
                _cancelled.add(cast("asyncio.Future[object]", future))
                future.add_done_callback(_forget)
            self._note(running, outcome)
        self._running.clear()
        self._ended.clear()

    def _note(self, running: _Running, outcome: Outcome, detail: str = "") -> None:
        seconds = self._clock() - running.started
        self._trace.attempts.append(
            Attempt(outcome, running.started, seconds, detail, running.kind)
        )


def _answered(future: asyncio.Future[T]) -> bool:
    return not future.cancelled() and future.exception() is None


def _forget(future: asyncio.Future[T]) -> None:
    _cancelled.discard(cast("asyncio.Future[object]", future))
    if not future.cancelled():
        future.exception()  # nobody waits for it any more
