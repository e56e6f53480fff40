"""How far healing is, in metrics: per shard that lacks something, over all who have it. Edge."""

from __future__ import annotations

from collections.abc import Iterable

from monitoring.page import Recorder

from .shard import Shard

_Pair = tuple[str, str]  # names of source and target


class HealProgress:
    """What every process of the box sees on the shards; who heals is some lines ahead."""

    def __init__(self, names: Iterable[str], recorder: Recorder) -> None:
        names = list(names)
        self._hints = {name: recorder.gauge("store_hints", shard=name) for name in names}
        self._done = {name: recorder.gauge("store_scan_records", shard=name) for name in names}
        self._expected = {
            name: recorder.gauge("store_scan_records_expected", shard=name) for name in names
        }
        self._left: dict[_Pair, int] = {}
        self._scans: dict[_Pair, tuple[int, int]] = {}

    def hints(self, source: Shard, target: Shard, count: int) -> None:
        self._left[source.name, target.name] = count
        self._hints[target.name].set(
            sum(left for (_, name), left in self._left.items() if name == target.name)
        )

    def drained(self, source: Shard, target: Shard, count: int) -> None:
        left = self._left.get((source.name, target.name), 0)
        self.hints(source, target, max(0, left - count))

    def scan(self, source: Shard, target: Shard, done: int, total: int) -> None:
        """Of a copy of everything; 0 of 0: there is none."""
        self._scans[source.name, target.name] = (done, total)
        scans = [scan for (_, name), scan in self._scans.items() if name == target.name]
        self._done[target.name].set(sum(done for done, _ in scans))
        self._expected[target.name].set(sum(total for _, total in scans))
