"""A real Redis Cluster of its own for a test: three masters and their replicas."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.redis_server import RedisServer, free_port

SLOTS = 16384
_WITHIN = 30.0


def free_cluster_port() -> int:
    """One whose bus port, 10000 above, is free as well; leaves room for that."""
    while True:
        port = free_port()
        if port > 55_000:
            continue
        with socket.socket() as bus:
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        return port


class RedisCluster:
    """`masters` with the slots in equal parts, and one replica each unless `replicas` is False.

    A master that does not answer for `node_timeout_ms` is replaced by its replica.
    """

    def __init__(
        self, folder: Path, *, masters: int = 3, replicas: bool = True, node_timeout_ms: int = 1000
    ) -> None:
        options = (
            "--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms),
            "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
        )  # fmt: skip
        self.nodes = [
            RedisServer(folder / f"node{number}", *options, port=free_cluster_port())
            for number in range(1, masters * (2 if replicas else 1) + 1)
        ]
        self.masters = self.nodes[:masters]
        self.replicas = self.nodes[masters:]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                self._stack.callback(node.kill)
                node.start(wait=False)
            for node in self.nodes:
                node.wait_for("PING", b"+PONG")
            self._join()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def masters_known_to(self, node: RedisServer) -> list[bytes]:
        """Lines of CLUSTER NODES of the masters that are alive."""
        lines = node.command("CLUSTER NODES").splitlines()
        return [line for line in lines if b"master" in line and b"fail" not in line]

    def _join(self) -> None:
        for number, node in enumerate(self.nodes, 1):
            node.command(f"CLUSTER SET-CONFIG-EPOCH {number}")
        count = len(self.masters)
        for number, node in enumerate(self.masters):
            first, end = SLOTS * number // count, SLOTS * (number + 1) // count
            assert node.command(f"CLUSTER ADDSLOTSRANGE {first} {end - 1}") == b"+OK\r\n"
        for node in self.nodes[1:]:
            node.command(f"CLUSTER MEET 127.0.0.1 {self.nodes[0].port}")
        know = f"cluster_known_nodes:{len(self.nodes)}".encode()
        for node in self.nodes:
            node.wait_for("CLUSTER INFO", know)
        for master, replica in zip(self.masters, self.replicas, strict=False):
            name = master.command("CLUSTER MYID").split(b"\r\n")[1].decode()
            soon(partial(_replicates, replica, name))
        for node in self.nodes:
            node.wait_for("CLUSTER INFO", b"cluster_state:ok")
            node.wait_for("CLUSTER INFO", b"cluster_slots_assigned:16384")
        for replica in self.replicas:
            replica.wait_for("INFO replication", b"master_link_status:up")
        soon(lambda: all(_shows_all(node, len(self.replicas)) for node in self.nodes))


def _replicates(replica: RedisServer, master: str) -> bool:
    return replica.command(f"CLUSTER REPLICATE {master}") == b"+OK\r\n"


def _shows_all(node: RedisServer, replicas: int) -> bool:
    return (
        node.command("CLUSTER NODES").count(b" slave ")
        + node.command("CLUSTER NODES").count(b"myself,slave")
        >= replicas
    )


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN
    while not condition():
        assert time.monotonic() < deadline, "the cluster did not come together"
        time.sleep(0.02)
