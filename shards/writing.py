"""Writing the copies of a record, and the hints for those that cannot be written now. Edge.

The invariant: *acknowledged implies that both copies exist, or one copy and, on the same shard, a
hint naming the other.* So a hint is written before the answer, in one transaction with the copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .errors import RecordConflictError, ShardError
from .layout import hinted, set_command
from .places import Place
from .records import key_of
from .shard import Shard

ShardPlace = Place[Shard]


async def write(
    places: Sequence[ShardPlace], record_id: int, value: bytes, ttl_ms: int
) -> list[str]:
    """Names of the shards that hold a copy now, in the order of `places`; none when it is not
    known to be stored. Those that are missing are named by a hint on each of these.

    Raises RecordConflictError when the id holds another value.
    """
    writing = _Writing(record_id, value, ttl_ms)
    present = [place for place in places if place.shard.writable]
    if not present:
        await asyncio.sleep(0)  # who writes on and on must let the loop find the shards again
    missing = [place.shard.name for place in places if not place.shard.writable]
    if not missing:
        done = await writing.plain(present)
        if len(done) == len(places):
            return [place.shard.name for place in done]
        missing = [place.shard.name for place in places if place not in done]
        present = done
    while present:
        done = await writing.with_hints(present, missing)
        # Who failed only now is named too, or the others' hints would not tell of it.
        missing += [place.shard.name for place in present if place not in done]
        if len(done) == len(present):
            break
        present = done
    return [place.shard.name for place in present]


class _Writing:
    """One record on its way."""

    def __init__(self, record_id: int, value: bytes, ttl_ms: int) -> None:
        self._id = record_id
        self._key = key_of(record_id)
        self._value = value
        self._command = set_command(self._key, value, ttl_ms)

    async def plain(self, places: Sequence[ShardPlace]) -> list[ShardPlace]:
        """Writes to all at once; those that have it."""
        sent = [place.shard.send("set", place.database, self._command) for place in places]
        done = []
        try:
            for place, future in zip(places, sent, strict=True):
                try:
                    if await future != b"OK":
                        self._check(place, await self._present(place))
                except ShardError:
                    continue
                done.append(place)
        finally:
            for future in sent:
                future.cancel()
        return done

    async def with_hints(
        self, places: Sequence[ShardPlace], missing: list[str]
    ) -> list[ShardPlace]:
        """Writes it with the hints, which must be there as surely as the record."""
        done = []
        replies = await asyncio.gather(
            *(
                place.shard.execute(
                    "set",
                    place.database,
                    *hinted(place.database, self._key, self._command, self._id, missing),
                )
                for place in places
            ),
            return_exceptions=True,
        )
        for place, reply in zip(places, replies, strict=True):
            if isinstance(reply, ShardError):
                continue
            if isinstance(reply, BaseException):
                raise reply
            if isinstance(reply, list) and len(reply) > 1:
                self._check(place, reply[1])
                done.append(place)
        return done

    async def _present(self, place: ShardPlace) -> object:
        """What the id holds: an earlier try of this write whose reply was lost, or a clash."""
        value = await place.shard.execute("get", place.database, (b"GET", self._key))
        if value is None:  # it expired in between
            raise ShardError(place.shard.name, "the record expired while it was written")
        return value

    def _check(self, place: ShardPlace, present: object) -> None:
        if present != self._value:
            raise RecordConflictError(self._id, place.shard.name)
