"""What is said first on a connection: who the server is, and by which map we write. Edge."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Collection
from functools import partial

from .errors import ShardError
from .housekeeping import keep_house
from .layout import HOUSEKEEPING, IDENTITY, MAPS, Command, writer_key
from .maps import UNKNOWN, UNSURE, ShardMap
from .pipeline import Meter, Pipeline, Reply

WRITER_MS = 5000  # how long a writer is believed to be there after its last word


async def introduce(link: Pipeline, meter: Meter, name: str, writes_by: ShardMap | None) -> None:
    """Finds out whether the server is the shard of that name; if we write, gives it an identity
    unless it has one, and adds our map. Raises ShardError when it is another shard.

    A server that takes no writes is not told, for it is not written to either; see announcing.py.
    """
    send = partial(link.send, meter, HOUSEKEEPING)
    identity, told = await asyncio.gather(send((b"GET", IDENTITY)), send((b"SMEMBERS", MAPS)))
    if identity is None and writes_by is not None:
        try:
            await keep_house(send, *christening(name, writes_by))
        except ShardError:  # read-only: it may be read all the same
            return
        identity = await send((b"GET", IDENTITY))
    elif writes_by is not None:
        with contextlib.suppress(ShardError):
            await keep_house(send, *announcement(writes_by, members(told)))
    if not isinstance(identity, bytes):
        return
    known_as = identity.partition(b" ")[0].decode(errors="replace")
    if known_as != name:
        raise ShardError(
            name,
            f"this server is shard {known_as}, not {name}: are addresses mixed up?"
            " (if its data is not wanted, FLUSHALL frees it)",
        )


def christening(name: str, writes_by: ShardMap) -> tuple[Command, ...]:
    """One transaction: an identity for a server that has none, which cannot know what others
    have written, and to which we write."""
    return (
        (b"SET", IDENTITY, f"{name} {secrets.token_hex(8)}", b"NX"),
        (b"SADD", MAPS, UNSURE, bytes(writes_by)),
        (b"SET", writer_key(bytes(writes_by)), 1, b"PX", WRITER_MS),
    )


def announcement(writes_by: ShardMap, told: Collection[bytes]) -> tuple[Command, ...]:
    """One transaction: that we write by this map, to a server that keeps these."""
    mine = bytes(writes_by)
    new = [] if mine in told else [mine]
    if not told:
        new.append(UNKNOWN)
    return (
        *([(b"SADD", MAPS, *new)] if new else []),
        (b"SET", writer_key(mine), 1, b"PX", WRITER_MS),
    )


def members(reply: Reply) -> frozenset[bytes]:
    """Of a reply to SMEMBERS."""
    found = reply if isinstance(reply, list) else []
    return frozenset(one for one in found if isinstance(one, bytes))
