"""Which node of a Redis Cluster has which slots, as its nodes tell. Pure.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ ("Redirection and
resharding"): a node that does not have a key's slot answers `MOVED 3999 127.0.0.1:6381` for good,
or `ASK 3999 127.0.0.1:6381` for this one command while the slot is being moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from .placement import SLOTS

Address = tuple[str, int]  # host, port


class SlotMap:
    """Each slot's master; at first nobody has any."""

    def __init__(self) -> None:
        self._masters: list[Address | None] = [None] * SLOTS

    def master_of(self, slot: int) -> Address | None:
        """None: as far as is known, no node has that slot."""
        return self._masters[slot]

    @property
    def complete(self) -> bool:
        """Whether every slot has a master."""
        return None not in self._masters

    def masters(self) -> list[Address]:
        """Every node that has a slot, by its first one."""
        return list(dict.fromkeys(filter(None, self._masters)))

    def move(self, slot: int, master: Address) -> None:
        """As a node has said of one slot."""
        self._masters[slot] = master

    def learn(self, reply: object, asked: Address) -> None:
        """Takes the reply to CLUSTER SLOTS of the node at `asked`; ranges of
        `[first, last, [host, port, ...], replicas ...]`, where an empty host is the node's own.

        Raises ValueError, and changes nothing, for anything else, and for no slots at all: so says
        a node that has left the cluster, while others know better.
        """
        if not isinstance(reply, list):
            raise ValueError("the reply to CLUSTER SLOTS is no list of slots")
        if not reply:
            raise ValueError(f"{asked[0]}:{asked[1]} knows of no slots: is it in the cluster?")
        masters: list[Address | None] = [None] * SLOTS
        for entry in reply:
            first, last, master = _range_in(entry, asked)
            masters[first : last + 1] = [master] * (last + 1 - first)
        self._masters = masters


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a node sends whoever asked it; `only_once`: this command and no other."""

    slot: int
    address: Address
    only_once: bool


def redirect_in(reason: str, asked: Address) -> Redirect | None:
    """Of the text of an error reply, None if it is none."""
    kind, _, rest = reason.partition(" ")
    slot, _, where = rest.partition(" ")
    host, _, port = where.rpartition(":")
    if kind not in ("MOVED", "ASK") or not slot.isdecimal() or not port.isdecimal():
        return None
    if int(slot) >= SLOTS or not 0 < int(port) < 65536:
        return None
    return Redirect(int(slot), (host or asked[0], int(port)), kind == "ASK")


def _range_in(entry: object, asked: Address) -> tuple[int, int, Address]:
    match entry:
        case [int(first), int(last), [bytes(host) | (None as host), int(port), *_], *_]:
            if 0 <= first <= last < SLOTS and 0 < port < 65536:
                return first, last, ((host or b"").decode() or asked[0], port)
    raise ValueError(f"no range of slots: {entry!r:.100}")
