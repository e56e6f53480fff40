"""The faults, one file each. A new one is a file and a line.

1. Write `unstable/faults/yours.py`. `noop.py` is the shortest example, `drip.py` one with a number
   of its own::

       class Teapot(Fault):
           kind = "teapot"
           help = "answered by a teapot."

           async def answer(self, exchange: Exchange) -> web.StreamResponse:
               return web.Response(status=418)

2. Add `Teapot()` to FAILING (it spoils the answer) or SLOWING (good, but slow).

It then has an option (`--teapot-rate`), an environment variable (`UNSTABLE_TEAPOT_RATE`), a field
in `/faults` (`teapot_rate`), its series in `/metrics` and its name in the access log.
"""

from __future__ import annotations

from .delay import Delay
from .drip import Drip
from .exchange import Exchange
from .failure import Failure
from .fault import Fault
from .garbage import Garbage
from .hang import Hang
from .registry import Registry
from .reset import Reset
from .truncated import Truncated

__all__ = ["FAILING", "SLOWING", "STOCK", "Exchange", "Fault", "Registry"]

FAILING = (
    Failure(),
    Hang(),
    Reset(),
    Truncated(),
    Garbage(),
)
SLOWING = (
    Delay(),
    Drip(),
)
STOCK = Registry(FAILING, SLOWING)
