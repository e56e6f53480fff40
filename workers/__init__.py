"""A prefork pool of workers around one listening socket. Knows no HTTP, imports nothing of ours.

Any asyncio server runs on it. In the parent::

    from workers import Pool, PoolSettings

    settings = PoolSettings(name="echo", host="127.0.0.1", port=7000, workers=2)
    raise SystemExit(Pool("echo:serve", settings=settings).run())

and in `echo.py`, imported in each worker after the fork::

    import asyncio

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

    async def serve(worker):
        acceptor = worker.listen(Echo)
        worker.ready()
        await worker.told_to_stop()
        acceptor.close()

`python -m workers status` shows it, `scale echo 4` and `reload echo` change it while it runs.

`pool.py` is the parent, `children.py` its table of processes, `child.py` the life of one,
`worker.py` what its code sees, `acceptor.py` how it gets its fair part of the connections,
`status.py` the memory they share, `policy.py` and `replacement.py` the decisions, `listener.py`
and `lock.py` what the parent holds, `attach.py` a pool as seen from outside.
"""

from .acceptor import Acceptor
from .child import BootError
from .pool import Pool
from .settings import MOST_WORKERS, SLOTS, PoolSettings, Recycling, cpu_count
from .status import State, WorkerStatus
from .worker import Worker

__all__ = [
    "MOST_WORKERS",
    "SLOTS",
    "Acceptor",
    "BootError",
    "Pool",
    "PoolSettings",
    "Recycling",
    "State",
    "Worker",
    "WorkerStatus",
    "cpu_count",
]
