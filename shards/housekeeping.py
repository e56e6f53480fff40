"""Writing down what is known of records, even on a server that is full. Edge.

A full server refuses records, and is to be healed from and to be emptied by a rebalance all the
same: for that it must take a lease and the like, some hundred bytes above its limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .errors import ShardError
from .layout import Command
from .pipeline import Reply
from .scripts import even_if_full

_FULL = ("OOM", "EXECABORT")  # a transaction is aborted because of what was said before


async def keep_house(send: Callable[..., Awaitable[Reply]], *commands: Command) -> Reply:
    """The reply to one command, or to several as one transaction, which `send` sends to the
    database for housekeeping. Raises ShardError."""
    try:
        return await send(*commands)
    except ShardError as error:
        if not error.reason.startswith(_FULL):
            raise
        refused = error
    try:
        replies = await send(even_if_full(commands))
    except ShardError as error:
        # A server before Redis 7 knows no scripts of this kind: it is full, no more.
        raise refused if error.reason.startswith("ERR") else error from None
    if len(commands) > 1 or not isinstance(replies, list):
        return replies
    return replies[0]
