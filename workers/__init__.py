"""A prefork pool of workers around one listening socket. Knows no HTTP, imports nothing of ours.

Any asyncio server runs on it. In the parent::

    from workers import Pool, PoolSettings

    settings = PoolSettings(name="echo", host="127.0.0.1", port=7000, workers=2)
    raise SystemExit(Pool("echo:serve", settings=settings).run())

and in `echo.py`, imported in each worker after the fork::

    import asyncio

    async def serve(worker):
        async def echo(reader, writer):
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, sock=worker.socket)
        worker.ready()
        await worker.told_to_stop()
        server.close()

`pool.py` is the parent, `child.py` the process of a worker, `worker.py` what its code sees,
`status.py` the memory they share, `policy.py` the decisions, `listener.py` socket and lock.
"""

from .child import BootError
from .pool import Pool
from .settings import PoolSettings, cpu_count
from .status import State, WorkerStatus
from .worker import Worker

__all__ = ["BootError", "Pool", "PoolSettings", "State", "Worker", "WorkerStatus", "cpu_count"]
