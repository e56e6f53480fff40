"""Records: what was answered, kept under an id until it expires."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Literal

from shards import RecordConflictError, Store, Stored

from .id_source import IdSource
from .responses import to_json

logger = logging.getLogger(__name__)

StoredWord = Literal["replicated", "degraded", False]

_WORDS: dict[Stored, StoredWord] = {
    Stored.REPLICATED: "replicated",
    Stored.DEGRADED: "degraded",
    Stored.NONE: False,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """`id` is None exactly when nothing was stored."""

    id: int | None
    stored: StoredWord


@dataclass(frozen=True, slots=True)
class Record:
    """`source` says where the data came from when it was answered: "live" or "fallback"."""

    data: dict[str, Any]
    source: str


class Records:
    """Keeps records in the sharded store under ids of this worker."""

    def __init__(self, store: Store, ids: IdSource) -> None:
        self._store = store
        self._ids = ids

    async def keep(self, record: Record) -> Kept:
        """Store a record. Never raises: who asked gets the answer, and is told when it was not
        kept."""
        value = to_json({"data": record.data, "source": record.source})
        record_id = self._ids.next()
        try:
            stored = _WORDS[await self._store.put(record_id, value.encode())]
        except (ValueError, RecordConflictError) as error:
            logger.error("record %d was not stored: %s", record_id, error)
            stored = False
        return Kept(record_id if stored else None, stored)

    async def find(self, record_id: int) -> Record | None:
        """The record, or None when it is certain that there is none.

        Raises StoreUnavailableError when the shard that must know does not answer.
        """
        value = await self._store.get(record_id)
        if value is None:
            return None
        fields = json.loads(value)
        return Record(fields["data"], fields["source"])

    async def count(self) -> dict[str, int | None]:
        """Records on each shard, None for one that does not answer."""
        return await self._store.sizes()
