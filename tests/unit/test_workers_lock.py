"""Who has a pool's name, in the moments when it is taken and given back."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.attach import NotRunningError, RunningPool, names
from workers.lock import holder, lock_path, take_name


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[int]:
    fd = take_name(tmp_path, "pool", 7)
    yield fd
    os.close(fd)


def test_the_name_tells_who_has_it_and_where_its_page_is(taken: int, tmp_path: Path):
    assert holder(tmp_path, "pool") == (os.getpid(), 7)
    assert names(tmp_path) == ["pool"]


def test_a_pool_that_has_not_said_yet_who_it_is_does_not_run_yet(tmp_path: Path):
    fd = os.open(lock_path(tmp_path, "pool"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert holder(tmp_path, "pool") is None
        with pytest.raises(NotRunningError, match="no pool of that name runs"):
            RunningPool(tmp_path, "pool")
    finally:
        os.close(fd)


def test_a_pool_that_ends_while_it_is_looked_at_does_not_run(taken: int, tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    os.pwrite(taken, f"{ended.pid} 7\n".encode(), 0)
    with pytest.raises(NotRunningError, match="no pool of that name runs"):
        RunningPool(tmp_path, "pool")
