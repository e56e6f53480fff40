"""The ids file with real processes: they die, come back, and never give an id twice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import ids
from app.id_source import IdSource

# Gives ids until it is killed.
_GIVE = """
import sys
from pathlib import Path
from app.id_source import IdSource
source = IdSource(Path(sys.argv[1]))
while True:
    print("\\n".join(str(source.next()) for _ in range(50)), flush=True)
"""
# Leases a node, says which, and holds it until its input ends.
_HOLD = """
import sys
from pathlib import Path
from app.id_source import IdSource
source = IdSource(Path(sys.argv[1]))
print(source.node, flush=True)
sys.stdin.read()
"""


class Giver:
    """A process that writes ids to a file."""

    def __init__(self, path: Path, out: Path) -> None:
        self._out = out
        with out.open("w") as file:
            self._process = subprocess.Popen([sys.executable, "-c", _GIVE, str(path)], stdout=file)
        while not out.stat().st_size and self._process.poll() is None:
            time.sleep(0.005)

    def killed(self) -> list[int]:
        """Every complete line it had written when it was killed."""
        self._process.kill()
        self._process.wait()
        return [int(line) for line in self._out.read_text().split("\n")[:-1]]


def hold(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_processes_and_their_successors_never_give_an_id_twice(tmp_path: Path) -> None:
    seen: list[int] = []
    for generation in range(3):
        givers = [Giver(tmp_path / "ids", tmp_path / f"{generation}-{n}") for n in range(3)]
        time.sleep(0.05)
        for giver in givers:
            seen += giver.killed()
    assert len(seen) > 1000
    assert len(set(seen)) == len(seen)
    nodes = {record_id >> ids.SEQUENCE_BITS & (ids.NODES - 1) for record_id in seen}
    assert nodes == {0, 1, 2}, "a killed process gives its node back"


def test_a_successor_goes_on_where_the_killed_one_stopped_even_if_the_clock_went_back(
    tmp_path: Path,
) -> None:
    last = max(Giver(tmp_path / "ids", tmp_path / "out").killed())
    source = IdSource(tmp_path / "ids", clock=lambda: ids.EPOCH_MS)
    assert source.node == 0
    assert source.next() > last
    source.close()


def test_two_living_processes_never_have_the_same_node(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    holders = [hold(path) for _ in range(3)]
    nodes = []
    for holder in holders:
        assert holder.stdout is not None
        nodes.append(int(holder.stdout.readline()))
    source = IdSource(path)
    nodes.append(source.node)
    source.close()
    for holder in holders:
        holder.communicate("")
    assert sorted(nodes) == [0, 1, 2, 3]


def test_a_closed_source_gives_its_node_back(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    IdSource(path).close()
    out, _ = hold(path).communicate("")
    assert int(out) == 0


@pytest.mark.parametrize("content", [b"something else", b"id-nodes" + bytes(2000)])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ids"
    path.write_bytes(content)
    with pytest.raises(OSError, match="is not an ids file of this version"):
        IdSource(path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        IdSource(tmp_path / "file" / "ids")
