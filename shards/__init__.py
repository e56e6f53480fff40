"""Records spread over several Redis servers, each written once under a unique integer id.

Usable alone; with two servers running (`redis-server shards/redis1.conf`, and redis2.conf)::

    import asyncio
    from shards import ShardedStore, StoreSettings

    async def main() -> None:
        urls = ("redis://127.0.0.1:6379", "redis://127.0.0.1:6380")
        async with ShardedStore(StoreSettings(urls, ttl_seconds=60.0)) as store:
            print(await store.put(1234, b"hello"))  # replicated
            print(await store.get(1234))  # b'hello'
            print(await store.sizes())  # {'redis1': 0, 'redis2': 1}

    asyncio.run(main())

What holds: a write is reported as stored only when the server said so; a record is reported as
absent only when the server that must know said so; each command ends within its time-out; and a
slow or dead server delays nothing on the others. `store_for` opens a Redis Cluster too.
"""

from .cluster import ClusterStore
from .errors import RecordConflictError, ShardError, StoreError, StoreUnavailableError
from .interface import Store, store_for
from .records import MAX_ID
from .settings import StoreSettings, split_urls
from .store import ShardedStore
from .stored import Stored

__all__ = [
    "MAX_ID",
    "ClusterStore",
    "RecordConflictError",
    "ShardError",
    "ShardedStore",
    "Store",
    "StoreError",
    "StoreSettings",
    "StoreUnavailableError",
    "Stored",
    "split_urls",
    "store_for",
]
