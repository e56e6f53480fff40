"""One fault of the shards after another, drawn by the run's seed."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable

from redis import RedisError

from ..drill import Drill
from ..invariants import answered_within, no_ask_fails, recovers
from ..scene import Scene
from ..stack import wait_for

_SECONDS, _SHORT_SECONDS = 300.0, 2.0
_HOUSEKEEPING = 2  # the database of hints and of copies under way
_UNDER_WAY = ("hints:*", "scan:*")
_SHARDS = ("redis1", "redis2")
_HEALED_WITHIN = 240.0  # on a busy machine


def act(scene: Scene) -> None:
    """The next one begins when both shards hold everything again: two copies survive one loss,
    not the loss of the second while the first is being made good."""
    until = time.monotonic() + (_SHORT_SECONDS if scene.short else _SECONDS)
    while time.monotonic() < until:
        shard = scene.dice.choice(_SHARDS)
        fault = scene.dice.choice(_FAULTS)
        fault(scene, shard, scene.dice.uniform(0.2, 1.0 if scene.short else 4.0))
        wait_for(lambda: _is_healed(scene), "both shards hold everything again", _HEALED_WITHIN)
    scene.cure()


def _stop(scene: Scene, shard: str, seconds: float) -> None:
    scene.ctl("stop", shard)
    time.sleep(seconds)
    scene.ctl("start", shard)


def _kill(scene: Scene, shard: str, seconds: float) -> None:
    scene.signal(scene.stack.pid(shard), signal.SIGKILL, shard)
    time.sleep(seconds)


def _freeze(scene: Scene, shard: str, seconds: float) -> None:
    server = scene.stack.pid(shard)
    scene.signal(server, signal.SIGSTOP, shard)
    try:
        time.sleep(seconds)
    finally:
        scene.thaw(server, shard)


def _fill(scene: Scene, shard: str, seconds: float) -> None:
    server = scene.stack.redis(shard)
    limit = int(server.config_get("maxmemory")["maxmemory"] or 0)
    scene.event(f"{shard}: CONFIG SET maxmemory 1")
    server.config_set("maxmemory", 1)
    try:
        time.sleep(seconds)
    finally:
        scene.event(f"{shard}: CONFIG SET maxmemory {limit}")
        server.config_set("maxmemory", limit)


def _wipe(scene: Scene, shard: str, seconds: float) -> None:
    scene.ctl("stop", shard)
    scene.event(f"rm -r var/{shard}")
    shutil.rmtree(scene.stack.root / "var" / shard)
    time.sleep(seconds)
    scene.ctl("start", shard)


def _stop_both(scene: Scene, shard: str, seconds: float) -> None:
    scene.ctl("stop", *_SHARDS)
    time.sleep(seconds)
    scene.ctl("start", shard)
    scene.ctl("start", *(other for other in _SHARDS if other != shard))


_FAULTS: tuple[Callable[[Scene, str, float], None], ...] = (
    _stop, _kill, _freeze, _fill, _wipe, _stop_both,
)  # fmt: skip


def _is_healed(scene: Scene) -> bool:
    """Nothing is hinted, nothing is being copied, and each has as many copies as the other has
    records, about: the load goes on."""
    try:
        stores = [scene.stack.redis(shard, database=_HOUSEKEEPING) for shard in _SHARDS]
        if any(next(store.scan_iter(match), None) for store in stores for match in _UNDER_WAY):
            return False
        sizes = {
            (shard, database): scene.stack.redis(shard, database=database).dbsize()
            for shard in _SHARDS
            for database in (0, 1)
        }
    except (OSError, RedisError):
        return False
    held = [sizes[shard, 0] + sizes[shard, 1] for shard in _SHARDS]
    return max(held) - min(held) <= max(20, max(held) // 100)


DRILL = Drill(
    name="random-shards",
    about="shards",
    says="for 5 minutes one of stop, kill -9, freeze, fill, wipe, stop both, as the seed says",
    act=act,
    promises=(no_ask_fails, answered_within(2.5), recovers(within=10)),
    takes=_SECONDS,
    long=True,
)
