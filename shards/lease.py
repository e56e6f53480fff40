"""A right to do something that one process has at a time, and that ends by itself. Edge."""

from __future__ import annotations

import secrets

from .layout import HOUSEKEEPING
from .scripts import let_go
from .shard import Shard


class Lease:
    """Kept on the shards that the work is about; `key` says for what, see layout.py.

    A holder that was held up longer than the lease may not know that it has lost it: whatever
    must not be done twice asks for the `token` on the server in the same step.
    """

    def __init__(self, key: bytes, seconds: float) -> None:
        self.key = key
        self.token = secrets.token_hex(8).encode()
        self._ms = round(seconds * 1000)

    async def take(self, shard: Shard) -> bool:
        """Begins or prolongs it there; False when another has it. Raises ShardError."""
        taken = await shard.keep_house((b"SET", self.key, self.token, b"NX", b"PX", self._ms))
        if taken == b"OK":
            return True
        if await shard.execute("heal", HOUSEKEEPING, (b"GET", self.key)) != self.token:
            return False
        await shard.execute("heal", HOUSEKEEPING, (b"PEXPIRE", self.key, self._ms))
        return True

    async def end(self, shard: Shard) -> None:
        """Raises ShardError."""
        await shard.execute("heal", HOUSEKEEPING, let_go(self.key, self.token))
