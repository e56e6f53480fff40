"""The file of changes, with several workers at it."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest

from balancer.changes_file import ChangesFile, ChangesFileError
from balancer.membership import Change, Changes, RefusedChangeError, add, alter
from balancer.settings import Address, Member

ONE = Address("127.0.0.1", 3000)
CONFIGURED = (Member(ONE), Member(Address("127.0.0.1", 3001)))


def adds(port: int) -> dict[Address, Change]:
    return {Address("10.0.0.1", port): Change(weight=1, added=True)}


async def test_of_changes_made_at_once_by_several_workers_none_is_lost(tmp_path: Path):
    workers = [ChangesFile(tmp_path / "changes.json") for _ in range(4)]

    async def changes(worker: ChangesFile, ports: range) -> None:
        for port in ports:
            await worker.change(
                lambda made: add(CONFIGURED, made, Address("10.0.0.1", port))  # noqa: B023
            )

    await asyncio.gather(
        *(changes(worker, range(1 + 5 * n, 6 + 5 * n)) for n, worker in enumerate(workers))
    )
    expected: dict[Address, Change] = {}
    for port in range(1, 21):
        expected |= adds(port)
    for worker in workers:
        worker.look()
        assert worker.changes == expected
        assert worker.serial == 20
        assert not worker.look()


async def test_what_may_not_be_changes_nothing(tmp_path: Path):
    file = ChangesFile(tmp_path / "changes.json")
    await file.change(lambda made: alter(CONFIGURED, made, ONE, draining=True))
    before = file.changes, file.serial, (tmp_path / "changes.json").read_bytes()
    last = CONFIGURED[1].address
    with pytest.raises(RefusedChangeError):
        await file.change(lambda made: alter(CONFIGURED, made, last, draining=True))
    assert (file.changes, file.serial, (tmp_path / "changes.json").read_bytes()) == before


async def test_a_worker_that_hangs_in_the_middle_of_a_change_stops_no_other_for_long(
    tmp_path: Path,
):
    file = ChangesFile(tmp_path / "changes.json")
    with (tmp_path / "changes.writing").open("a") as hung:
        fcntl.flock(hung, fcntl.LOCK_EX)
        with pytest.raises(ChangesFileError, match="another worker is changing"):
            await file.change(lambda made: alter(CONFIGURED, made, ONE, weight=2))
        assert file.changes == {}
    await file.change(lambda made: alter(CONFIGURED, made, ONE, weight=2))
    assert file.changes == {ONE: Change(weight=2)}


async def test_what_cannot_be_written_is_not_in_force_either(tmp_path: Path):
    (tmp_path / "changes.new").mkdir()
    file = ChangesFile(tmp_path / "changes.json")
    with pytest.raises(ChangesFileError, match="cannot write"):
        await file.change(lambda made: alter(CONFIGURED, made, ONE, weight=2))
    assert file.changes == {}
    assert not (tmp_path / "changes.json").exists()


async def test_without_a_file_changes_hold_as_long_as_the_worker():
    file = ChangesFile(None)
    await file.change(lambda made: alter(CONFIGURED, made, ONE, weight=2))
    assert file.changes == {ONE: Change(weight=2)}
    assert not file.look()
    await file.forget()
    assert file.changes == {}


async def test_a_file_that_is_taken_away_takes_the_changes_with_it(tmp_path: Path):
    seen: Changes = {ONE: Change(weight=2)}
    file = ChangesFile(tmp_path / "changes.json")
    await file.change(lambda made: alter(CONFIGURED, made, ONE, weight=2))
    assert file.changes == seen
    (tmp_path / "changes.json").unlink()
    assert file.look()
    assert file.changes == {}
