"""What a fault is: a name, a rate, perhaps numbers of its own, and one way to answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from aiohttp import web

from ..settings import Knob
from .exchange import Exchange


class Fault(ABC):
    """One way to misbehave. Holds no state: what it needs comes with the exchange.

    Attributes:
        kind: name in settings (`KIND_rate`), metrics and log.
        help: what becomes of the request, for `--help`.
        default_rate: rate when nothing is set.
        knobs: further numbers, each named `KIND_…`.
    """

    kind: ClassVar[str]
    help: ClassVar[str]
    default_rate: ClassVar[float] = 0.0
    knobs: ClassVar[tuple[Knob, ...]] = ()

    @abstractmethod
    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer, or not. Wait with `exchange.hold`.

        Cancelled when the client goes away or the service stops: nothing needs cleaning up then
        as long as nothing was started on the side.
        """
