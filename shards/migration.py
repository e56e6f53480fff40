"""Copying every record from one store to another, verified. Edge.

May be interrupted and repeated: what the target has already is verified and not written again,
so nothing has to be remembered in between. Records that are written to the source meanwhile may
be missed; run it once more when the writers have moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .copying import Lying
from .errors import RecordConflictError, ShardError
from .settings import StoreSettings
from .sides import Side, side_of


@dataclass(slots=True)
class Migrated:
    """What was done. `conflicts`: ids that the target holds with another value."""

    looked_at: int = 0  # copies in the source
    total: int = 0  # about
    copied: int = 0  # records written
    present: int = 0  # copies of records that the target had already
    verified: int = 0  # read back from every place where they must be, with value and expiry
    expired: int = 0  # while they were copied
    conflicts: list[int] = field(default_factory=list)


class MigrationError(Exception):
    """One of the two sides failed; says which, what it said, and what to do."""


async def migrate(
    source: StoreSettings,
    target: StoreSettings,
    moved: Migrated,
    progress: Callable[[], None],
) -> None:
    """Copies; counts in `moved` and calls `progress` after every batch. Raises MigrationError."""
    refuse_overlap(source, target)
    reading, writing = side_of(source, claim=False), side_of(target, claim=True)
    try:
        await _Migration(reading, writing, moved, progress).run()
    finally:
        await reading.close()
        await writing.close()


def refuse_overlap(source: StoreSettings, target: StoreSettings) -> None:
    """Raises ValueError when a server is on both sides."""
    both = {str(one) for one in source.addresses} & {str(one) for one in target.addresses}
    if both:
        raise ValueError(
            f"{', '.join(sorted(both))} is on both sides; records move within a store by themselves"
        )


class _Migration:
    def __init__(
        self, source: Side, target: Side, moved: Migrated, progress: Callable[[], None]
    ) -> None:
        self._source = source
        self._target = target
        self._moved = moved
        self._progress = progress

    async def run(self) -> None:
        with _blaming("FROM"):
            self._moved.total = await self._source.size()
        batches = self._source.batches()
        while True:
            with _blaming("FROM"):
                batch = await anext(batches, None)
            if batch is None:
                return
            with _blaming("TO"):
                await self._batch(batch)
            self._moved.looked_at += len(batch)
            self._progress()

    async def _batch(self, batch: Mapping[int, Lying]) -> None:
        before = await self._target.copies(batch)
        wanted = {i: one for i, one in batch.items() if not _all_there(before[i])}
        self._moved.present += len(batch) - len(wanted)
        for record_id, found in before.items():
            # Written NX: what lies there would stay, and must be what the source has.
            if any(copy is not None and copy.value != batch[record_id].value for copy in found):
                self._moved.conflicts.append(record_id)
                wanted.pop(record_id, None)
        await self._keep(wanted)
        after = await self._target.copies(batch)
        clashing = set(self._moved.conflicts)
        for record_id, record in batch.items():
            if record_id not in clashing:
                self._verify(record_id, record, after[record_id])

    async def _keep(self, wanted: Mapping[int, Lying]) -> None:
        try:
            await self._target.keep(wanted)
        except RecordConflictError as error:  # somebody wrote it just now
            self._moved.conflicts.append(error.record_id)
            await self._keep({i: one for i, one in wanted.items() if i != error.record_id})
            return
        self._moved.copied += len(wanted)

    def _verify(self, record_id: int, record: Lying, copies: list[Lying | None]) -> None:
        if not _all_there(copies):
            # Shorter than the copying took: it has expired, as it would have in the source.
            if 0 < record.ttl_ms < _SOON_MS:
                self._moved.expired += 1
                return
            raise ShardError("target", f"record {record_id} was written and is not there")
        for copy in filter(None, copies):
            if copy.value != record.value or (copy.ttl_ms == 0) != (record.ttl_ms == 0):
                raise ShardError("target", f"record {record_id} reads differently from what it is")
        self._moved.verified += 1


_SOON_MS = 60_000  # longer than any batch takes


def _all_there(copies: list[Lying | None]) -> bool:
    return None not in copies


class _blaming:  # noqa: N801  reads as a statement
    """Turns what a shard said into an error that names the side."""

    def __init__(self, side: str) -> None:
        self._side = side

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ShardError):
            raise MigrationError(
                f"{self._side}: {str(error).rstrip('.')}. Nothing is lost: run it again to go on."
            ) from error
