"""The disk under one shard's append-only file is full.

Without root there is no small disk to fill, but there is a limit on the size of a process' files:
at it the kernel cuts the write short and refuses the next (EFBIG), as a full disk does (ENOSPC),
and Redis takes the same path for both. The signal that comes with it would end the process unless
it is ignored; supervisord's way of starting the server leaves it so, and this is checked first.
"""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from ..drill import Drill, NotHereError
from ..invariants import (
    answered_within,
    answers_as_fast,
    goes_on_reading,
    goes_on_storing,
    no_ask_fails,
    reads_as_fast,
    recovers,
)
from ..scene import Scene
from ..stack import wait_for


def act(scene: Scene) -> None:
    server = psutil.Process(scene.stack.pid("redis1"))
    if not hasattr(server, "rlimit"):
        raise NotHereError("limits of another process can be set on Linux only")
    if not _ignores_file_size_signal(server.pid):
        raise NotHereError("redis1 does not ignore SIGXFSZ: the limit would kill it")
    soft, hard = server.rlimit(psutil.RLIMIT_FSIZE)
    size = max(file.stat().st_size for file in (scene.stack.root / "var/redis1").rglob("*.aof"))
    scene.event(f"prlimit --fsize={size} of redis1")
    server.rlimit(psutil.RLIMIT_FSIZE, (size, hard))
    try:
        shard = scene.stack.redis("redis1")
        wait_for(
            lambda: shard.info("persistence")["aof_last_write_status"] == "err",
            "redis1 cannot write its append-only file",
        )
        scene.wait(6, short=2)
    finally:
        scene.cure()
        scene.event("prlimit: no limit again")
        server.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))


def _ignores_file_size_signal(pid: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGXFSZ - 1) & 1)
    return False


DRILL = Drill(
    name="disk-full",
    about="shards",
    says="redis1 cannot write to its append-only file for 6 s, as on a full disk",
    act=act,
    promises=(
        no_ask_fails,
        goes_on_storing(after=1),
        goes_on_reading(after=0),
        answers_as_fast,
        reads_as_fast,
        answered_within(2.5),
        recovers(within=5),
    ),
    takes=7,
)
