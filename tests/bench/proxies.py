"""The proxies that are held against each other: started behind each other's backs on one CPU, and
checked to do the same job before anything is measured. Edge."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from functools import partial

from .asking import get
from .bench import Bench
from .closed_loop import Request
from .peers import Contender, balancer, envoy, haproxy, nginx, plain_proxy
from .processes import ProgramError

OURS, NGINX = balancer.NAME, "NGINX"
JOB = (
    "The same job for all: keep-alive on both sides, X-Forwarded-For, one line of access log per"
    " request in a file. A reverse proxy on one core in front of NGINX with static answers."
)
# title -> what is asked; 10 kB of upload are answered with 100 B
CASES = {
    "100 B": Request("/100B", least=100),
    "10 kB": Request("/10kB", least=10_000),
    "1 MB": Request("/1MB", least=1_000_000),
    "10 kB upload": Request("/upload", least=100, upload=10_000),
}
_STARTS: dict[str, Callable[[Bench, int], Contender]] = {
    OURS: balancer.start,
    balancer.COMPILED: partial(balancer.start, compiled=True),
    NGINX: nginx.start,
    "HAProxy": haproxy.start,
    "Envoy": envoy.start,
    plain_proxy.NAME: plain_proxy.start,
}
_FLUSH_SECONDS = 15.0  # Envoy writes its log every 10 s, or when it has 64 KiB


def start_all(bench: Bench, backend: Contender) -> list[Contender]:
    """Those that are installed; the others are named in the result."""
    contenders = []
    for name, start in _STARTS.items():
        with bench.contender(name):
            bench.step(f"starting {name}")
            contender = start(bench, backend.port)
            _check_forwarding(contender)
            contenders.append(contender)
    return contenders


def check_logs(bench: Bench, contenders: list[Contender]) -> None:
    """Who keeps no access log does less than the others: its rows do not count."""
    for contender in contenders:
        get(contender.port, "/100B")  # the log may just have been emptied
        log, end = contender.access_log, time.monotonic() + _FLUSH_SECONDS
        while log is not None and not (log.exists() and log.stat().st_size):
            if time.monotonic() > end:
                for case in bench.result.cases:
                    bench.result.refuse(case, contender.name, "no access log was written")
                break
            time.sleep(0.1)


def _check_forwarding(contender: Contender) -> None:
    """The backend sees an address of the client (Envoy gives the machine's own in place of a
    loopback one), and the second request on the same connection."""
    status, seen = get(contender.port, "/seen", times=2)
    forwarded, _, rest = seen.decode(errors="replace").partition("|")
    requests = rest.rpartition("|")[2]
    if status != 200 or not _is_address(forwarded):
        raise ProgramError(f"{contender.name} does not send X-Forwarded-For: {seen!r}")
    if not requests.isdigit() or int(requests) < 2:
        raise ProgramError(f"{contender.name} does not keep its backend connection: {seen!r}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True
