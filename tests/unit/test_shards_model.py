"""Acknowledged means: both copies exist, or one copy and, on the same shard, a hint naming the
other (or the knowledge that the other has lost its disk). Whatever faults come, in any order."""

import asyncio
from collections.abc import Sequence
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from shards import StoreSettings
from shards.layout import id_of
from tests.fake_redis import FakeNetwork, FakeRedis
from tests.shard_faults import Drive, Kind, Step

URLS = ("redis://fake:1", "redis://fake:2")
SETTINGS = StoreSettings(URLS, ttl_seconds=0.0)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([*get_args(Kind), *["write"] * 6, *["start"] * 3]),
        st.integers(0, 1),
        st.integers(1, 12),
        # a message takes 0.2 ms, a time-out 250 ms, the healer looks about once a second
        st.sampled_from([0.0, 0.0003, 0.0005, 0.3, 2.0]),
    ),
    max_size=30,
)


class InMemory:
    urls = URLS

    def __init__(self, network: FakeNetwork) -> None:
        self.servers = [FakeRedis(network), FakeRedis(network)]
        network.servers = dict(zip((1, 2), self.servers, strict=True))

    async def do(self, kind: Kind, shard: int, amount: int) -> None:
        server = self.servers[shard]
        match kind:
            case "crash":
                server.crash()
            case "start":
                server.runs = True
            case "freeze":
                server.frozen = True
            case "thaw":
                server.thaw()
            case "fill":
                server.full = True
            case "empty":
                server.full = False
            case "lose disk":
                server.full = False
                server.wipe()
            case "cut":
                server.commands_before_cut = amount

    def records(self, shard: int) -> set[int]:
        keys = {*self.servers[shard].keys(0), *self.servers[shard].keys(1)}
        return {i for i in map(id_of, keys) if i is not None}

    def observable(self, shard: int) -> bool:
        return True  # its disk, if it does not run

    def uncovered(self, shard: int, record_ids: Sequence[int]) -> list[int]:
        own, other = self.servers[shard].keys(2), self.servers[1 - shard].keys(2)
        name = b"redis%d" % (2 - shard)
        known = own.get(b"peers", {}).get(name)
        if known is None or known != other.get(b"identity"):
            return []  # another disk: everything will be copied
        hints = own.get(b"hints:" + name, set())
        return [i for i in record_ids if b"%d" % i not in hints]


def drive(steps: Sequence[Step]) -> int:
    network = FakeNetwork()

    async def run() -> int:
        return await Drive(InMemory(network), SETTINGS).run(steps)

    with asyncio.Runner(loop_factory=lambda: network) as runner:
        return runner.run(run())


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_nothing_acknowledged_is_lost_or_denied_whatever_faults_come(steps: list[Step]):
    drive(steps)


def test_without_faults_everything_is_acknowledged():
    assert drive([Step("write", 0, 12, 0.3)] * 3) == 36


def test_a_write_answered_in_the_moment_its_only_disk_is_lost_is_not_held_against_the_store():
    drive([Step("write", 0, 1), Step("crash", 0, 1, 0.0005), Step("write", 0, 1, 0.0003),
           Step("lose disk", 1, 1)])  # fmt: skip
