"""The nodes of a Redis Cluster: each command goes to the master that has its slot. Edge.

The map is asked of any node that answers, by one task however many need it: when it is not known
yet, when a node says that a slot has moved, and every 200 ms while a master is absent, for its
replica may take over. Meanwhile nobody waits for it: what cannot be asked now fails at once, the
other masters serve as before, and no connection but the lost one is touched. (redis-py's cluster
client closes all of them whenever a slot moves or is not covered: under load the commands it cuts
off so bring the next round, and a fail-over that took two seconds was felt for thirty.)
"""

from __future__ import annotations

import asyncio
import logging

from monitoring.page import Recorder

from .errors import ShardError
from .layout import FIRST_COPIES, Command
from .pipeline import Reply
from .settings import ShardAddress, StoreSettings
from .shard import Op, Shard
from .slot_map import Address, SlotMap, redirect_in

NAME = "cluster"  # in metrics and errors: a key's node is the cluster's own business

_log = logging.getLogger(__name__)
_LOOK_EVERY = 0.2  # seconds
_MOST_REDIRECTS = 3


class ClusterNodes:
    """Connections to those nodes that are masters, or were given; nothing connects before it is
    used. Nothing here retries but by what a node says."""

    def __init__(self, settings: StoreSettings, recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._given = [(one.host, one.port) for one in settings.addresses]
        self._nodes: dict[Address, Shard] = {}
        self._map = SlotMap()
        self._looking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def execute(self, op: Op, slot: int, *commands: Command) -> list[Reply]:
        """The replies to commands on one key, which travel together; raises ShardError with the
        first that failed."""
        address = self._map.master_of(slot)
        if address is None:
            await self._look()
            address = self._map.master_of(slot)
        asking = False
        for _ in range(_MOST_REDIRECTS + 1):
            if address is None:
                self._watch()
                raise ShardError(NAME, f"no node has slot {slot}")
            try:
                return await self.ask(op, address, *commands, asking=asking)
            except ShardError as error:
                redirect = redirect_in(error.reason, address)
                if redirect is None:
                    self._watch()
                    raise
                address, asking = redirect.address, redirect.only_once
                if not asking:
                    self._map.move(redirect.slot, address)
                    self._watch()
        raise ShardError(NAME, f"slot {slot}: sent from node to node {_MOST_REDIRECTS} times")

    async def ask(
        self, op: Op, address: Address, *commands: Command, asking: bool = False
    ) -> list[Reply]:
        """The replies of one node. `asking`: it is to answer though the slot is still another's.
        Raises ShardError."""
        node = self._node(address)
        sent = []
        for command in commands:
            if asking:
                sent.append(node.send("probe", FIRST_COPIES, (b"ASKING",)))
            sent.append(node.send(op, FIRST_COPIES, command))
        try:
            replies = [await one for one in sent]
        finally:
            for one in sent:
                if one.done() and not one.cancelled():
                    one.exception()  # the first one tells what happened
                one.cancel()
        return replies[1::2] if asking else replies

    async def masters(self) -> list[Address]:
        """As the cluster tells now. Raises ShardError."""
        await self._look()
        return self._map.masters()

    async def interview(self, address: Address, command: Command) -> Reply:
        """A question about the node itself, on a connection of its own. Raises ShardError."""
        (reply,) = await self._node(address).interview(command)
        return reply

    async def close(self) -> None:
        """Close every connection; may be called twice."""
        tasks = [task for task in (self._watching, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        nodes, self._nodes = self._nodes, {}
        await asyncio.gather(*(node.close() for node in nodes.values()))

    def _node(self, address: Address) -> Shard:
        node = self._nodes.get(address)
        if node is None:
            host, port = address
            one = self._settings.addresses[0]
            where = ShardAddress(NAME, host, port, one.username, one.password)
            node = self._nodes[address] = Shard(where, self._settings, self._recorder, claim=False)
        return node

    # The map

    async def _look(self) -> None:
        """One look, however many wait for it. Raises ShardError when no node tells."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_around())
        await asyncio.shield(self._looking)

    async def _look_around(self) -> None:
        failure = ShardError(NAME, "no node is known")
        known = dict.fromkeys([*self._map.masters(), *self._given])
        for address in sorted(known, key=self._is_absent):
            try:
                (reply,) = await self.ask("probe", address, (b"CLUSTER", b"SLOTS"))
                self._map.learn(reply, address)
            except ShardError as error:
                failure = error
                continue
            except ValueError as error:
                failure = ShardError(NAME, str(error))
                continue
            await self._leave_others()
            return
        raise failure

    def _is_absent(self, address: Address) -> bool:
        node = self._nodes.get(address)
        return node is not None and node.absent is not None

    async def _leave_others(self) -> None:
        """Nodes that have no slots any more are not asked, and need no connection."""
        keep = {*self._map.masters(), *self._given}
        gone = [self._nodes.pop(address) for address in list(self._nodes) if address not in keep]
        await asyncio.gather(*(node.close() for node in gone))

    def _watch(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch_until_well())

    async def _watch_until_well(self) -> None:
        """Until every slot has a master that answers."""
        while True:
            try:
                await self._look()
            except ShardError as error:
                _log.debug("no node tells of the slots: %s", error)
            if not any(map(self._is_absent, self._map.masters())) and self._map.complete:
                return
            await asyncio.sleep(_LOOK_EVERY)
