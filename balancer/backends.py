"""One backend as a worker of the balancer sees it. Pure: no sockets, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from .concurrency import ConcurrencyLimit
from .ejection import Outlier
from .settings import Address


@dataclass(eq=False, slots=True)
class Backend:
    """Facts about one backend; `selection.py` chooses by them.

    `healthy` is what active checks say, `ejected` what requests say, `draining` what a person
    says: it finishes what it has. `removing` is draining with the end that it is forgotten.
    `max_in_flight` is the limit now: that of the settings, or less while it has too much to do.
    """

    address: Address
    label: str = field(init=False)  # made once: it is asked for with every request
    weight: int = 1
    healthy: bool = True
    ejected: bool = False
    draining: bool = False
    removing: bool = False
    in_flight: int = 0
    max_in_flight: int = 1024
    concurrency: ConcurrencyLimit = field(init=False)  # moves max_in_flight below what it was
    outlier: Outlier = field(default_factory=Outlier)

    def __post_init__(self) -> None:
        self.label = str(self.address)
        self.concurrency = ConcurrencyLimit(self.max_in_flight)

    @property
    def available(self) -> bool:
        """The one definition of "may get a request"."""
        return (
            self.healthy
            and not self.ejected
            and not self.draining
            and self.in_flight < self.max_in_flight
        )

    @property
    def in_service(self) -> bool:
        """Nothing is known against it."""
        return self.healthy and not self.ejected

    @property
    def state(self) -> str:
        """In one word, the reason first that a person gave."""
        if self.draining:
            return "removing" if self.removing else "draining"
        if not self.healthy:
            return "down"
        if self.ejected:
            return "ejected"
        return "up" if self.available else "full"
