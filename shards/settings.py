"""What a store is told, checked before anything connects. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from .maps import ShardMap

_ALLOWED_URL = "allowed is redis://[user:password@]host[:port][?leaving][#name]"
_CLUSTER = "redis+cluster"
_ALLOWED_CLUSTER_URL = "allowed is redis+cluster://[user:password@]host[:port],host[:port]..."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_PASSWORD = re.compile(r"(//[^:/@]*:).*@")
_DEFAULT_PORT = 6379
_CENTURY = 100 * 365 * 86400.0  # as an expiry in milliseconds still far from Redis' 64 bits


@dataclass(frozen=True)
class ShardAddress:
    """Where a shard is and what it is called.

    The name is the shard's identity: it decides which records are its own. Without one the
    position in the list gives it (redis1, redis2, ...), so ports may move but the order may not;
    with `#name` at the end of each URL the order is free too.

    `leaving` (`?leaving` in the URL): it takes no new records, is read as a former owner, and
    `python -m shards rebalance` empties it; then it may be left out of the list.
    """

    name: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    leaving: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class StoreSettings:
    """Settings of one store; raises ValueError naming the value and what is allowed.

    `urls`: one a shard, see ShardAddress. `copies` of each record, None: 2, or 1 with one shard.
    `ttl_seconds`: records expire after it, 0 = never. `operation_timeout_seconds`: all that one
    command may take. `hedge_seconds`: how long the first owner may be silent before the second
    is read too. `heal_records_per_second`: how fast lost copies are made good.
    """

    urls: tuple[str, ...] = field(repr=False)  # may hold passwords
    copies: int | None = None
    ttl_seconds: float = 86400.0
    value_limit_bytes: int = 64 * 1024
    # Over loopback p99.9 lies far below both. redis-py's own 5 s and 10 retries make a stopped
    # shard cost 3-5 s and a hung one 59 s a command.
    connect_timeout_seconds: float = 0.1
    operation_timeout_seconds: float = 0.25
    hedge_seconds: float = 0.02
    heal_records_per_second: float = 2000.0

    def __post_init__(self) -> None:
        shards = len(self.map.names)
        if not shards:
            raise ValueError("store URL: every shard is leaving; one must stay")
        if self.is_cluster and self.copies not in (None, 1):
            raise ValueError(
                f"copies {self.copies}: a Redis Cluster makes its own copies, by its replicas;"
                " allowed is 1"
            )
        if self.copies is not None and self.copies > shards:
            stay = ", not counting what is leaving" if shards < len(self.urls) else ""
            raise ValueError(f"copies {self.copies}: more than there are shards ({shards}{stay})")
        if self.copies is not None and self.copies < 1:
            raise ValueError(f"copies {self.copies}: must be at least 1")
        if self.ttl_seconds != 0 and not 0.001 <= self.ttl_seconds <= _CENTURY:
            raise ValueError(
                f"ttl_seconds {self.ttl_seconds}: must be 0 (records never expire)"
                f" or from 0.001 to {_CENTURY:.0f}"
            )
        for name in ("connect_timeout_seconds", "operation_timeout_seconds"):
            if not 0.001 <= getattr(self, name) <= 60:
                raise ValueError(f"{name} {getattr(self, name)}: must be from 0.001 to 60")
        if not 0.001 <= self.hedge_seconds <= 60:
            raise ValueError(f"hedge_seconds {self.hedge_seconds}: must be from 0.001 to 60")
        if not 1 <= self.heal_records_per_second <= 1_000_000:
            raise ValueError(
                f"heal_records_per_second {self.heal_records_per_second}: must be from 1 to 1000000"
            )
        if not 1 <= self.value_limit_bytes <= 2**24:
            raise ValueError(f"value_limit_bytes {self.value_limit_bytes}: must be 1 to {2**24}")

    @property
    def copies_kept(self) -> int:
        """Copies of each record, not counting the replicas of a Redis Cluster."""
        return self.map.copies

    @property
    def map(self) -> ShardMap:
        """By what new records are placed."""
        names = [address.name for address in self.addresses if not address.leaving]
        copies = self.copies or (1 if self.is_cluster else min(2, len(names)))
        return ShardMap(copies, tuple(sorted(names)))

    @property
    def is_cluster(self) -> bool:
        """Whether the URLs are nodes of one Redis Cluster, any of which tells of the others."""
        return any(url.startswith(_CLUSTER + ":") for url in self.urls)

    @property
    def addresses(self) -> tuple[ShardAddress, ...]:
        """The shards in the order given. Raises ValueError for none or one named twice."""
        if not self.urls:
            raise ValueError(f"store URL '': at least one shard is needed; {_ALLOWED_URL}")
        if self.is_cluster and not all(url.startswith(_CLUSTER + ":") for url in self.urls):
            raise ValueError(
                "store URL: redis:// and redis+cluster:// in one list; a store is either shards"
                " of its own or one Redis Cluster"
            )
        addresses = tuple(map(parse_url, self.urls, range(1, len(self.urls) + 1)))
        servers: dict[tuple[str, int], str] = {}
        names: set[str] = set()
        for address in addresses:
            host = "127.0.0.1" if address.host == "localhost" else address.host
            if first := servers.get((host, address.port)):
                raise ValueError(
                    f"store URL: {first} and {address.name} are the same server, {address};"
                    " each shard must be named once"
                )
            if address.name in names:
                raise ValueError(f"store URL: two shards are named {address.name!r}")
            servers[(host, address.port)] = address.name
            names.add(address.name)
        return addresses


def split_urls(text: str) -> tuple[str, ...]:
    """The URLs of a comma-separated list, as it stands in STORE_URL.

    Nodes of a cluster may follow the first without repeating its scheme, user and password.
    """
    if not text.strip():
        return ()
    first, *more = (url.strip() for url in text.split(","))
    if first.startswith(_CLUSTER + "://"):
        before, at, _ = first.removeprefix(_CLUSTER + "://").rpartition("@")
        same = f"{_CLUSTER}://{before}{at}"
        more = [url if "://" in url or not url else same + url for url in more]
    return (first, *more)


def parse_url(url: str, position: int) -> ShardAddress:
    """One shard's address; `position` counts from 1. Raises ValueError, without the password."""
    shown = _PASSWORD.sub(r"\1***@", url)
    cluster = url.startswith(_CLUSTER + ":")
    allowed = _ALLOWED_CLUSTER_URL if cluster else _ALLOWED_URL

    def refuse(why: str) -> ValueError:
        return ValueError(f"store URL {shown!r}: {why}; {allowed}")

    if not url.isprintable() or " " in url:
        raise refuse("has blanks or control characters")
    parts, port = _split(url)
    if parts is None or parts.scheme not in ("redis", _CLUSTER) or not parts.hostname or not port:
        raise refuse("is not the address of a Redis server")
    if parts.path not in ("", "/", "/0"):
        raise refuse("names a database; records lie in database 0, the one Redis Cluster has")
    if parts.query and (cluster or parts.query != "leaving"):
        raise refuse("has a query; time-outs and the like are settings of the store")
    if parts.fragment and cluster:
        raise refuse("names a shard; the cluster knows its nodes")
    if parts.fragment and not _NAME.fullmatch(parts.fragment):
        raise refuse(f"has a bad shard name {parts.fragment!r}")
    return ShardAddress(
        name=parts.fragment or f"redis{position}",
        host=parts.hostname,
        port=port,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        leaving=parts.query == "leaving",
    )


def _split(url: str) -> tuple[SplitResult | None, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        return None, 0
    return parts, _DEFAULT_PORT if port is None else port
