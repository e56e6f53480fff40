"""What every store can do, and which one the settings ask for."""

from __future__ import annotations

from typing import Protocol

from monitoring.page import Recorder

from .cluster import ClusterStore
from .settings import StoreSettings
from .status import ShardStatus
from .store import ShardedStore
from .stored import Stored


class Store(Protocol):
    """Records by id, on our own shards (ShardedStore) or on a Redis Cluster (ClusterStore)."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def put(self, record_id: int, value: bytes) -> Stored: ...

    async def get(self, record_id: int) -> bytes | None: ...

    async def sizes(self) -> dict[str, int | None]: ...

    async def up(self) -> dict[str, bool]: ...

    async def status(self) -> list[ShardStatus]: ...


def store_for(
    settings: StoreSettings, *, recorder: Recorder | None = None, claim: bool = True
) -> Store:
    """The store that the URLs name; not opened yet. `claim`: see ShardedStore."""
    if settings.is_cluster:
        return ClusterStore(settings, recorder=recorder)
    return ShardedStore(settings, recorder=recorder, claim=claim)
